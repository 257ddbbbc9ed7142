package wire

import "github.com/seed-19b57ce3/ota/httpapi/internal/protocol"

// The sentinels of access. A Problem matches them, besides those of package ota.
var (
	// ErrUnauthenticated means that the credential is missing or not valid.
	ErrUnauthenticated = protocol.ErrUnauthenticated
	// ErrForbidden means that the caller is known and may not do this.
	ErrForbidden = protocol.ErrForbidden
	// ErrUnavailable means that something the server needs does not answer: the Store, or the
	// verifier of credentials. The same request may succeed later.
	ErrUnavailable = protocol.ErrUnavailable
)
