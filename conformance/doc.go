// Package conformance drives the HTTP APIs with client programs that others wrote, against a real server with a simulated fleet. Its
// folders hold one client each. It is a module of its own, outside of the workspace, because those clients are hundreds of
// megabytes of source that nobody who uses ota should have to download:
//
//	cd conformance && GOWORK=off go test ./...
package conformance
