// Package apitest checks the HTTP API against its own description, and in the routers of other
// people. It is a module of its own, so that what it needs for that is nobody else's dependency.
package apitest
