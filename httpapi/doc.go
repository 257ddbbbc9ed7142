// Package httpapi serves an [ota.Engine] over HTTP: the lifecycle API, in the server you already
// have.
//
//	h, err := httpapi.New(engine, httpapi.Options{Auth: httpapi.Tokens(map[string]string{token: "ann"})})
//	…
//	mux := http.NewServeMux()
//	httpapi.Mount(mux, h)
//	err = httpapi.RecommendedServer(":8443", mux).ListenAndServe()
//
// All paths are below /api/v1/lifecycle, after [Options.Prefix]. [Handler.Routes] lists them, and
// openapi.json beside them describes them. The handler does not call the Engine's Run: the same
// process can run the Engine, or another process on the same Store.
//
// # Who may
//
// [Options.Auth] is required: [Tokens], [Open] for every caller, or functions of the host. The
// caller is the actor of each verb in a plan's history; createdBy does not change that. The handler
// asks about each [Action] for each plan. A caller without read access to a plan gets 404.
//
// # Requests
//
// A request names a plan by its ID, with or without "plan-". Lengths of time are Go durations
// ("1h30m"), ISO 8601 ("PT1H30M") or seconds. Thresholds are fractions, 0 to 1. Numbers may be
// strings. Null means absent, and in an edit the default. A field of a policy has the meaning,
// range and default of the same field of [ota.Policy]. [Limits] bounds the cost of a request.
// docs/http.md has a command for each operation.
//
// # Answers and refusals
//
// Success is always 200. A refusal is a [wire.Problem] (RFC 9457, application/problem+json). One
// table makes it from the Engine's error, and package client reads that table backwards. So
// errors.Is with the sentinels of package ota works on both sides. If a request has several
// mistakes, the first of these decides: 401 (no valid credential), 413 and 415 (body), 400 (a body
// or parameter that cannot be read), 404 (no such plan), 403, 428 and 412 (If-Match), 422 (values
// that are refused, all of them at once), 409 (the plan's present state forbids it). 503 means that
// the Store did not answer. No answer is 500.
//
// # Concurrency
//
// The ETag of a plan is its Control number. Verbs, new breaches and the end change it; progress does
// not. So If-Match on a verb means "if there was no decision since I looked", and an agent that
// completes does not make it fail. For the same reason no answer is 304, and all have
// Cache-Control: no-store. Idempotency-Key makes a repeated POST the same POST.
//
// # Memory
//
// Bodies and answers stream. Agents of more than 1 MiB go through a temporary file: the policy may
// follow the agents in a body, and the Store must not wait for a slow client. The handler writes an
// answer while it reads the Store page by page. So a plan of a million agents costs the handler a
// few MiB at any time, in both directions. The Engine and the Store need their own memory. If an
// answer cannot be finished, the handler closes the connection, so that it does not look complete.
package httpapi
