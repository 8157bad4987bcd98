module hive-guest

go 1.24
