package storetest

import "time"

// Broken stores use it up.
func init() { patience = time.Second }
