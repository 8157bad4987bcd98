module contract

go 1.24

require hive-guest v0.0.0

replace hive-guest => ../../../../guest-sdk/go
