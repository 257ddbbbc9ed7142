package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"time"
)

// logRefused logs every refused request and the answer. At the level debug it logs the other
// requests too. It omits queries, because they may contain a token.
func logRefused(h http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &answer{ResponseWriter: w, status: http.StatusOK}
		began := time.Now()
		defer func() { // also when the answer is cut off
			level := slog.LevelDebug
			told := ""
			if a.refused() {
				level, told = slog.LevelInfo, string(bytes.TrimSpace(a.begin))
			}
			log.LogAttrs(r.Context(), level, "request", slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", a.status),
				slog.String("from", r.RemoteAddr), slog.Duration("took", time.Since(began)), slog.String("told", told))
		}()
		h.ServeHTTP(a, r)
	})
}

// answer records the status and the beginning of an answer.
type answer struct {
	http.ResponseWriter
	status int
	begin  []byte
}

// refused reports whether an answer is a refusal. ArcGIS refuses with the status 200.
func (a *answer) refused() bool {
	return a.status >= http.StatusBadRequest || bytes.HasPrefix(bytes.Join(bytes.Fields(a.begin), nil), []byte(`{"error":`))
}

// Unwrap is for http.ResponseController: streams flush and set deadlines through it.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	const most = 512
	a.begin = append(a.begin, b[:min(len(b), most-len(a.begin))]...)
	return a.ResponseWriter.Write(b)
}
