package main

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/arcgis"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
)

// site is what the server has besides its engine.
type site struct {
	handler http.Handler
	loops   []func(context.Context) error // run beside the engine
}

// mount puts the four APIs on one mux.
func mount(engine *ota.Engine, c config, log *slog.Logger) (*site, error) {
	auth := httpapi.Open()
	if !c.open {
		auth = httpapi.Tokens(map[string]string{c.token: "operator"})
	}
	mux := http.NewServeMux()
	lifecycle, err := httpapi.New(engine, httpapi.Options{Auth: auth, Logger: log, StartOnCreate: c.start})
	if err != nil {
		return nil, err
	}
	httpapi.Mount(mux, lifecycle)

	fabric, err := servicefabric.New(engine, servicefabric.Options{Auth: auth, Inventory: c.apps, Logger: log})
	if err != nil {
		return nil, err
	}
	servicefabric.Mount(mux, fabric)

	enterprise, err := arcgis.New(engine, arcgis.Options{
		Auth: auth, Prefix: "/context/admin", Logger: log,
		ReadOnly: func(ctx context.Context, on bool) error {
			log.InfoContext(ctx, "read-only mode is switched", "on", on) // this server has nothing that could be read-only
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	arcgis.Mount(mux, enterprise)

	balancer, err := avi.New(engine, avi.Options{Auth: auth, Logger: log})
	if err != nil {
		return nil, err
	}
	avi.Mount(mux, balancer)
	for _, m := range [][2]string{
		{"lifecycle", lifecycle.Root()}, {"Service Fabric", "/Applications"}, {"ArcGIS", enterprise.Root()}, {"Avi", "/api/upgradestatusinfo, /login"},
	} {
		log.Info("mounted", "api", m[0], "at", m[1])
	}
	return &site{logRefused(mux, log), []func(context.Context) error{fabric.Run, enterprise.Run, balancer.Run}}, nil
}
