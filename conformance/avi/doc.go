// Package avi drives httpapi/avi with the Avi SDK for Go, as its users would: over TLS, logged in by password or token.
package avi
