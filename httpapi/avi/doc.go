// Package avi serves an [ota.Engine] in the words of the VMware Avi Load Balancer: GET and PATCH of
// its upgradestatusinfo objects, with the login, logout and cluster status that its SDKs need.
//
//	h, err := avi.New(engine, avi.Options{Auth: httpapi.Tokens(map[string]string{password: "ann"})})
//	…
//	mux := http.NewServeMux()
//	avi.Mount(mux, h)
//	go h.Run(ctx)
//	err = httpapi.RecommendedServer(":8443", mux).ListenAndServeTLS(cert, key)
//
// Served are /api/upgradestatusinfo and /api/upgradestatusinfo/{uuid}, also without /api, /login,
// /logout and /api/cluster/status, all after [Options.Prefix]; docs/avi.md has every field.
//
// An object is a plan, its uuid the plan's ID. Most of what it shows is told by the Engine and
// cannot be set. What a client sets besides is kept with the plan, in one annotation, and comes
// back; it changes nothing, with two exceptions:
//
//   - action_on_error in the se_group_options of params or seg_params is the plan's Policy.OnBreach, and edits it.
//   - se_group_resume_options of a plan that a breach has suspended resume it at once: with skip_suspended the failures are
//     accepted, without it they are tried again.
//
// Plans are made, started, paused and rolled back by the lifecycle API, package httpapi.
//
// A PATCH is checked as a whole before anything is done; then it is said to the plan as one to
// three verbs: edit, resume, annotate. A refusal has the body {"error": "…"}. It is 401, 403, 404,
// 405, 408 or 413 as HTTP has them, and 400 for whatever else repeating cannot cure, because the
// SDKs repeat a request after 401, 419 and 5xx; 503 says that the Store did not answer. Nothing is
// ever 500.
package avi
