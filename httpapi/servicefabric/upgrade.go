package servicefabric

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/seed-19b57ce3/ota"
)

// What a plan that is an application's upgrade has. Annotations that an Executor may look at in its
// attempts come last.
const (
	labelDialect     = "dialect"
	labelApplication = "servicefabric.application"
	dialect          = "servicefabric"

	keyUpgrade = "servicefabric.upgrade" // what the plan is the upgrade of: kept
	keyFailure = "servicefabric.failure" // why it failed, where the plan itself does not tell: failure
	keyGoal    = "servicefabric.goal"    // the upgrade that is to follow once this one is rolled back: goal
	keyLaunch  = "servicefabric.launch"  // the same, while it is being started

	keyForceRestart = "servicefabric.forceRestart"           // "true" or "false", where the description says it
	keyCheckTimeout = "servicefabric.replicaSetCheckTimeout" // seconds, where the description says it
)

// kept is what is kept of an upgrade besides its plan.
type kept struct {
	Description description
	Previous    []parameter // the application's parameters before
}

// failure is why, and when, an upgrade was rolled back or stopped being monitored.
type failure struct {
	Reason string // Interrupted, HealthCheck, UpgradeDomainTimeout, OverallUpgradeTimeout
	At     time.Time
	Actor  string         `json:",omitempty"` // who interrupted it
	Domain domainProgress // what was in progress
}

// goal is an upgrade that waits for a rollback to end.
type goal struct {
	Description description
	Actor       string
}

// upgrade is an application's upgrade as it stands.
type upgrade struct {
	app     Application
	last    string    // ID of the application's newest plan, however it ended; "" for none
	plan    *ota.Plan // the newest one that was not withdrawn before it began; nil when there is none
	back    *ota.Plan // the plan that takes it back; nil while there is none
	failed  bool      // its rollback was given up, and it goes nowhere
	kept    kept
	failure *failure
	goal    *goal
	launch  *goal
}

// load reads what is known of an application's upgrade.
func (h *Handler) load(ctx context.Context, name string) (*upgrade, error) {
	app, err := h.opt.Inventory.Application(ctx, name)
	if err != nil {
		return nil, err
	}
	u := &upgrade{app: app}
	if err := u.newest(ctx, h.engine, name); err != nil || u.plan == nil {
		return u, err
	}
	return u, u.read(ctx, h.engine)
}

// newest finds the application's newest plan.
func (u *upgrade) newest(ctx context.Context, e *ota.Engine, name string) error {
	for q := (ota.PlanQuery{Labels: map[string]string{labelApplication: name}, Limit: 8}); ; {
		page, err := e.Plans(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			p := &page.Items[i]
			if p.Source != "" { // it belongs to its source
				continue
			}
			u.last = cmp.Or(u.last, p.ID)
			if p.Status != ota.StatusCanceled || !p.StartedAt.IsZero() {
				u.plan = p
				return nil
			}
		}
		q.Offset += len(page.Items)
		if !page.More {
			return nil
		}
	}
}

// read reads what belongs to the plan: its annotations and its rollback.
func (u *upgrade) read(ctx context.Context, e *ota.Engine) error {
	p := u.plan
	note(p, keyUpgrade, &u.kept)
	u.kept.Description.fill()
	if u.kept.Description.Name == "" { // somebody else's plan with our label
		u.kept.Description.Name, u.kept.Description.TargetApplicationTypeVersion = p.Labels[labelApplication], p.ToVersion
	}
	for key, v := range map[string]any{keyFailure: &u.failure, keyGoal: &u.goal, keyLaunch: &u.launch} {
		note(p, key, v)
	}
	if p.RollbackPlan != "" {
		back, err := e.Plan(ctx, p.RollbackPlan)
		if err == nil {
			u.back = &back
		} else if !errors.Is(err, ota.ErrNotFound) { // it is about to be made
			return err
		}
		return nil
	}
	var err error
	u.failed, err = givenUp(ctx, e, p)
	return err
}

// givenUp reports whether the plan is what its rollback has left behind when that was canceled.
func givenUp(ctx context.Context, e *ota.Engine, p *ota.Plan) (bool, error) {
	if p.Status != ota.StatusPaused || p.RollbackPlan != "" {
		return false, nil
	}
	page, err := e.Plans(ctx, ota.PlanQuery{Source: p.ID, Limit: 1})
	return err == nil && len(page.Items) > 0 && page.Items[0].Status == ota.StatusCanceled, err
}

// note reads an annotation. One that is not there, or that nobody can read, is left as it is.
func note(p *ota.Plan, key string, v any) {
	if s := p.Annotations[key]; s != "" {
		_ = json.Unmarshal([]byte(s), v)
	}
}

// written is an annotation. One that is too long to be kept is refused.
func written(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	if len(b) > 64<<10 {
		return "", refuse(codeTooLarge, "The description takes %d bytes to keep, 65536 are allowed.", len(b))
	}
	return string(b), nil
}

// pending reports whether the upgrade is under way: forward, or back.
func (u *upgrade) pending() bool { return u.plan != nil && !u.plan.Status.Ended() && !u.failed }

// goingBack reports whether the upgrade is rolling back, or about to.
func (u *upgrade) goingBack() bool {
	switch u.plan.Status {
	case ota.StatusRollingBack:
		return true
	case ota.StatusPausing, ota.StatusPaused:
		return u.interrupted() && !u.failed
	default:
		return false
	}
}

// wentBack reports whether the upgrade has ended where it began.
func (u *upgrade) wentBack() bool {
	return u.plan.Status == ota.StatusRolledBack || u.plan.Status == ota.StatusCanceled
}

// interrupted reports whether a user asked for the rollback.
func (u *upgrade) interrupted() bool {
	return u.failure != nil && u.failure.Reason == reasonInterrupted
}

// present is the version and the parameters that the application has, while nothing is pending.
func (u *upgrade) present() (version string, parameters []parameter) {
	switch {
	case u.plan == nil:
		return u.app.TypeVersion, nil
	case u.plan.Status == ota.StatusCompleted:
		return u.plan.ToVersion, u.kept.Description.Parameters
	default:
		return u.plan.FromVersion, u.kept.Previous
	}
}

// breach is the breach after which the upgrade waits for somebody to move it on, or nil.
func (u *upgrade) breach() *ota.Breach {
	if u.plan.Status != ota.StatusPausing && u.plan.Status != ota.StatusPaused || u.goingBack() {
		return nil
	}
	for i := range u.plan.Breaches {
		if u.plan.Breaches[i].Action == ota.ActionPause {
			return &u.plan.Breaches[i]
		}
	}
	return nil
}

// mode is the present mode. A breach with FailureAction Manual makes it UnmonitoredManual; a
// rollback is never monitored.
func (u *upgrade) mode() string {
	m := u.kept.Description.RollingUpgradeMode
	switch {
	case u.back != nil && (u.goingBack() || u.wentBack()):
		if u.back.Policy.Hold.All {
			return modeManual
		}
		return modeAuto
	case u.goingBack() || u.wentBack():
		if m == modeMonitored || u.goal != nil {
			return modeAuto
		}
		return m
	case m == modeMonitored && u.breach() != nil:
		return modeManual
	default:
		return m
	}
}

// planID is the ID of the plan that follows last: two that make it at once make the same one.
func planID(app, last string) string {
	return "plan-" + uuid.NewSHA1(planSpace, []byte(app+"\x00"+last)).String()
}

var planSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("github.com/seed-19b57ce3/ota/servicefabric"))

// create makes the plan of an upgrade and starts it.
func (h *Handler) create(ctx context.Context, u *upgrade, d *description, actor string) error {
	spec, err := h.spec(u, d, actor)
	if err != nil {
		return err
	}
	p, err := h.engine.Create(ctx, spec)
	if err != nil {
		return stale(err)
	}
	return h.start(ctx, p.ID, ota.Request{Actor: actor})
}

// start starts a plan. One whose agents are somebody else's is withdrawn.
func (h *Handler) start(ctx context.Context, id string, by ota.Request) error {
	_, err := h.engine.Start(ctx, id, by)
	if errors.Is(err, ota.ErrClaimed) {
		by.Reason = "its agents are being upgraded by another plan"
		if _, err := h.engine.Cancel(ctx, id, false, by); err != nil {
			return err
		}
	}
	return stale(err)
}

func (h *Handler) spec(u *upgrade, d *description, actor string) (ota.Spec, error) {
	shape, agents, err := d.lay(&u.app)
	if err != nil {
		return ota.Spec{}, err
	}
	from, previous := u.present()
	text, err := written(kept{Description: *d, Previous: previous})
	if err != nil {
		return ota.Spec{}, err
	}
	notes := d.attemptNotes()
	back := ota.RollbackSpec{Annotations: d.attemptNotes(), Inherit: ota.InheritBatches}
	notes[keyUpgrade] = text
	policy := ota.Policy{Concurrency: cmp.Or(h.opt.Concurrency, min(largest(&u.app), 1_000_000))}
	d.apply(&policy)
	back.Policy = backPolicy(policy, false)
	return ota.Spec{
		ID: planID(d.Name, u.last), Name: cut("Upgrade of " + d.Name + " to " + d.TargetApplicationTypeVersion),
		FromVersion: from, ToVersion: d.TargetApplicationTypeVersion, Agents: agents, Shape: shape, Policy: policy, Rollback: &back,
		CreatedBy: actor, Actor: actor, Annotations: notes,
		Labels: map[string]string{labelDialect: dialect, labelApplication: d.Name},
	}, nil
}

// attemptNotes are the parts of a description that concern an Executor.
func (v *description) attemptNotes() map[string]string {
	notes := map[string]string{}
	if v.ForceRestart != nil {
		notes[keyForceRestart] = strconv.FormatBool(*v.ForceRestart)
	}
	if v.UpgradeReplicaSetCheckTimeoutInSeconds != nil {
		notes[keyCheckTimeout] = strconv.FormatInt(*v.UpgradeReplicaSetCheckTimeoutInSeconds, 10)
	}
	return notes
}
