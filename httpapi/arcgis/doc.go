// Package arcgis speaks the update part of the ArcGIS Enterprise Administrator API over an
// [ota.Engine]: upgrades/rollback, upgrades and checkRollback, as ArcGIS Enterprise on Kubernetes
// has them.
//
//	h, err := arcgis.New(engine, arcgis.Options{
//		Auth:     httpapi.Tokens(map[string]string{token: "ann"}),
//		Prefix:   "/context/admin",
//		ReadOnly: func(ctx context.Context, on bool) error { return site.SetReadOnly(ctx, on) },
//	})
//	…
//	arcgis.Mount(mux, h)
//	go h.Run(ctx) // beside the Engine's Run
//
// # Versions
//
// A completed plan with the label "patch" is a version of the deployment: pat_… is a patch, rel_… a
// release, the plan's ToVersion is the version's text. The newest of them is where the deployment
// stands, those before it are the way it came, as far as each one's FromVersion is the ToVersion of
// the one before. The id in a request names the version to go back to: everything newer is undone.
// Only patches can be undone. The label "patchFrom" gives the version below the first patch an id.
//
// # Jobs
//
// A rollback is answered at once and carried out by [Handler.Run]: it switches read-only mode on,
// rolls the plans back one after the other, the newest first, and switches read-only mode off,
// whatever has happened meanwhile. A job is known by its rollback plans: the first one's label says
// that it begins a job, its annotations say what was done, the labels of the others name the first.
// So a host that was killed finds its job again, and finishes it.
//
// # Answers
//
// As with Esri's own server the HTTP status is always 200; a refusal is
// {"error":{"code":…,"message":…,"details":[…]}} with the codes 400 (also for a form that is too
// large or too slow, see [Limits]), 403, 404, 405, 498 (a wrong token), 499 (no token), and 500
// where the Store does not answer.
package arcgis
