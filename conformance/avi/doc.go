// Package avi tests httpapi/avi with the Avi SDK for Go, as its users would use it: over TLS, with
// a login by password or by token.
package avi
