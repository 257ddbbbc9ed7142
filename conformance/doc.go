// Package conformance tests the HTTP APIs with other people's client programs, against a real
// server with a simulated fleet. Each folder has one client. It is a module of its own, outside the
// workspace: those clients are hundreds of megabytes of source, which users of ota should not have
// to download.
//
//	cd conformance && GOWORK=off go test ./...
package conformance
