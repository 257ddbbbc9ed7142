// Package protocol has the constants and tables on which the client and the server of the lifecycle
// API must agree, besides the bodies in package wire.
package protocol

import "strconv"

// Base is the path of the API, after the prefix of the host.
const Base = "/api/v1/lifecycle"

// MaxTasks is the largest page of tasks.
const MaxTasks = 1000

// Sorts are the words for the orders of plans: Sorts[s] is for the ota.Sort s.
var Sorts = []string{"created", "oldest", "name", "waiting"}

// EndMark is the line of a stream of events that says that the stream ends because the plan ended.
const EndMark = ": end\n"

// ETag is a plan's Control number as a strong entity tag.
func ETag(control uint64) string { return `"` + strconv.FormatUint(control, 10) + `"` }
