package httpapi

import (
	"net/http"
	"time"
)

// RecommendedServer returns a server that is safe to show to strangers: it gives up on clients that
// do not send their headers within 5 s, closes connections that were idle for 60 s, and takes at
// most 64 KiB of headers. It sets no ReadTimeout and no WriteTimeout, because they would cut off
// large plans and streams of events: a Handler guards its bodies and answers itself, see Limits.
// Other handlers of h need deadlines of their own.
func RecommendedServer(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
