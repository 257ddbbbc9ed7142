// Package httpapi serves an [ota.Engine] over HTTP: the lifecycle API, in the server you already have.
//
//	h, err := httpapi.New(engine, httpapi.Options{Auth: httpapi.Tokens(map[string]string{token: "ann"})})
//	…
//	mux := http.NewServeMux()
//	httpapi.Mount(mux, h)
//	err = httpapi.RecommendedServer(":8443", mux).ListenAndServe()
//
// Everything is below /api/v1/lifecycle, after [Options.Prefix]; [Handler.Routes] lists it, and openapi.json beside the
// routes describes it. The Engine's Run is not called here: whoever serves an Engine may also run it, or leave that to
// another process on the same Store.
//
// # Who may
//
// [Options.Auth] is required: [Tokens], [Open] for everybody, or functions of the host's. Who calls is the actor of every verb in a plan's
// history, whatever createdBy claims; what they may do is asked for by [Action], plan by plan. Who may not read a plan is told that
// there is none.
//
// # Requests
//
// A plan is named by its ID, with or without "plan-". Lengths of time are Go durations ("1h30m"), ISO 8601 ("PT1H30M") or seconds;
// thresholds are fractions, 0 to 1; numbers may be strings; null is as good as absent, and in an edit means the default. What a field
// of a policy means, its range and its default are those of the same field of [ota.Policy]. [Limits] has what a request may cost. docs/http.md has a command for each operation.
//
// # Answers and refusals
//
// Success is always 200. A refusal is a [wire.Problem] (RFC 9457, application/problem+json), made from the Engine's error by one
// table that package client reads backwards, so errors.Is with the sentinels of package ota holds on both sides. When several
// things are wrong the first of these is told: 401 (no valid credential), 413 and 415 (body), 400 (a body or parameter
// that cannot be read), 404 (no such plan), 403, 428 and 412 (If-Match), 422 (readable values that are refused, all of
// them at once), 409 (the plan's present state forbids it). 503 says that the Store did not answer; nothing is ever 500.
//
// # Concurrency
//
// The ETag of a plan is its Control number. Verbs and new breaches change it, progress does not: so If-Match on a verb
// means "if nobody has decided anything since I looked", and never fails because an agent got ready. For the same reason
// no answer is ever 304, and all say Cache-Control: no-store. Idempotency-Key makes a repeated POST the same POST.
//
// # Memory
//
// Bodies and answers stream. A body's agents go through a temporary file once they are longer than 1 MiB, because the
// limits of a plan may follow its agents and because a Store should not wait for a slow client; an answer is written while the Store is
// paged through. A plan of a million agents so costs the handler a few MiB at any time, in both directions, besides what the
// Engine and the Store need themselves. An answer that cannot be finished is cut off, never ended as if it were whole.
package httpapi
