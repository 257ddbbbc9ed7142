// Package crashtest has the tests of sqlstore that need more than one process, or a machine that
// fails: engines that are killed, stopped and started while they drive plans, databases that go
// away, disks that lose power.
//
// Every test has the same parts. The fleet is a server in the test's process: it outlives all
// engines, answers each attempt once, and keeps a log of its own. The engines are child processes:
// the test's own binary, started again. When the plans have ended a checker reads what the fleet
// and the store have recorded, and nothing else; it knows the promises of package ota, and shares
// no code with it.
//
// How much is done is said by flags: -crash.all does all of it, -crash.kills says how many kills.
// -short makes it little, and so does the race detector without -crash.all.
package crashtest
