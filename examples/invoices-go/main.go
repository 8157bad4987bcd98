// Books invoices: one in XML in, one in JSON out.
package main

import hive "hive-guest"

func init() {
	hive.Consume(handle)
}

func main() {}
