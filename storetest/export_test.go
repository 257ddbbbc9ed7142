package storetest

import "time"

// Broken stores use it up.
func init() { patience = 2 * time.Second }
