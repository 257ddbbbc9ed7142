package servicefabric

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// Inventory knows the applications of a host. It is called by many goroutines at once.
type Inventory interface {
	// Application returns the application with this full name, for example "fabric:/myapp/app1", or
	// an error that matches ota.ErrNotFound when there is none. Any other error is answered by 503.
	// The value must not be changed afterwards.
	Application(ctx context.Context, name string) (Application, error)
}

// Application is what is known of an application besides its upgrades.
type Application struct {
	// TypeName is the name of its type, for example "app1Type".
	TypeName string
	// TypeVersion is what its agents run before the first upgrade. At most 255 bytes. Without one
	// the first upgrade cannot be rolled back.
	TypeVersion string
	// UpgradeDomains are its agents, every one in one domain. At least one agent; every domain has
	// a name of its own.
	UpgradeDomains []UpgradeDomain
	// Versions are those of its type that are provisioned; nil means all.
	Versions []string
}

// UpgradeDomain is a set of agents that are upgraded at the same time.
type UpgradeDomain struct {
	Name   string   // for example "UD0"; 1 to 255 bytes
	Agents []string // IDs; a domain without agents takes no part
}

func (a *Application) provisioned(version string) bool {
	return a.Versions == nil || slices.Contains(a.Versions, version)
}

// scheme begins the full name of every application.
const scheme = "fabric:/"

// Apps is a simple Inventory: applications by their full names. It must not be changed while it is
// in use. As a flag.Value it reads "NAME=agent,agent,…", once for each application.
type Apps map[string]Application

// Application implements Inventory.
func (a Apps) Application(_ context.Context, name string) (Application, error) {
	app, ok := a[name]
	if !ok {
		return Application{}, fmt.Errorf("%w: application %q", ota.ErrNotFound, name)
	}
	return app, nil
}

// Add adds an application: name is without "fabric:/". Its agents are dealt out to five upgrade
// domains in turn, UD0 to UD4, or to fewer where there are fewer agents; it is of the type "…Type",
// named after the last part of its name, at version 1.0.0, and every version counts as provisioned.
func (a Apps) Add(name string, agents ...string) error {
	name = strings.TrimPrefix(name, scheme)
	_, twice := a[scheme+name]
	switch {
	case name == "" || len(name) > 240 || strings.Contains("/"+name+"/", "//") || strings.Contains(name, "~"):
		return &ota.FieldError{Field: "name", Value: name, Problem: "is no name of an application", Allowed: "for example myapp/app1; at most 240 bytes"}
	case len(agents) == 0:
		return &ota.FieldError{Field: "agents", Problem: "are missing", Allowed: "at least one"}
	case twice:
		return &ota.FieldError{Field: "name", Value: name, Problem: "is there twice", Allowed: "one name for each application"}
	}
	domains := make([]UpgradeDomain, min(5, len(agents)))
	seen := map[string]bool{}
	for i, agent := range agents {
		if agent == "" || seen[agent] {
			return &ota.FieldError{Field: "agents", Value: agent, Problem: "is empty or there twice", Allowed: "IDs, each once"}
		}
		seen[agent] = true
		d := &domains[i%len(domains)]
		d.Name = "UD" + strconv.Itoa(i%len(domains))
		d.Agents = append(d.Agents, agent)
	}
	a[scheme+name] = Application{TypeName: name[strings.LastIndexByte(name, '/')+1:] + "Type", TypeVersion: "1.0.0", UpgradeDomains: domains}
	return nil
}

// Set implements flag.Value: it adds the application "NAME=agent,agent,…".
func (a Apps) Set(s string) error {
	name, list, ok := strings.Cut(s, "=")
	if !ok {
		return &ota.FieldError{Field: "app", Value: s, Problem: "has no agents", Allowed: "NAME=agent,agent,…"}
	}
	return a.Add(name, strings.Split(list, ",")...)
}

// String implements flag.Value.
func (a Apps) String() string { return strings.Join(slices.Sorted(maps.Keys(a)), " ") }
