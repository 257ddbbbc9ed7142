package servicefabric_test

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// An upgrade goes through, domain by domain; then there is nothing to roll back, and nothing to
// upgrade.
func TestUnmonitoredAuto(t *testing.T) {
	t.Parallel()
	agents := otatest.IDs("ok-", 12)
	w := newWorld(t, 5*time.Millisecond, agents...)
	w.listen()
	s := w.progress()
	if s.UpgradeState != "RollingForwardCompleted" || s.TargetApplicationTypeVersion != "1.0.0" || s.RollingUpgradeMode != "Invalid" ||
		s.TypeName != "app1Type" || s.StartTimestampUtc != "0001-01-01T00:00:00.000Z" || s.FailureReason != "None" {
		t.Errorf("before: %+v", s)
	}
	w.post("RollbackUpgrade", "", "FABRIC_E_APPLICATION_NOT_UPGRADING")
	w.post("Upgrade", describe("1.0.0", "UnmonitoredAuto"), "FABRIC_E_APPLICATION_ALREADY_IN_TARGET_VERSION")
	w.post("Upgrade", describe("1.3.0", "UnmonitoredAuto"), "")
	s = w.waitState("RollingForwardCompleted")
	if s.TargetApplicationTypeVersion != "1.3.0" || s.NextUpgradeDomain != "" || s.domains() != "UD0 Completed, UD1 Completed, UD2 Completed, UD3 Completed, UD4 Completed" {
		t.Errorf("after: %+v", s)
	}
	w.all("1.3.0", agents...)
	w.post("RollbackUpgrade", "", "FABRIC_E_APPLICATION_NOT_UPGRADING")
	w.post("MoveToNextUpgradeDomain", moveTo("UD1"), "FABRIC_E_APPLICATION_NOT_UPGRADING")
	w.post("Upgrade", describe("1.3.0", "Monitored"), "FABRIC_E_APPLICATION_ALREADY_IN_TARGET_VERSION")
	w.post("Upgrade", describe("1.3.0", "UnmonitoredAuto", `"Parameters":[{"Key":"k","Value":"v"}]`), "")
	s = w.waitState("RollingForwardCompleted")
	if len(s.UpgradeDescription.Parameters) != 1 {
		t.Errorf("parameters were not kept: %+v", s.UpgradeDescription)
	}
	w.post("Upgrade", describe("1.3.0", "UnmonitoredAuto", `"Parameters":[{"Key":"k","Value":"v"}]`), "FABRIC_E_APPLICATION_ALREADY_IN_TARGET_VERSION")
	for i, p := range w.plans() {
		if p.CreatedBy != "ann" || p.Batches != 5 || p.Policy.Concurrency != 3 || p.FromVersion != []string{"1.3.0", "1.0.0"}[i] {
			t.Errorf("plan %d: %+v", i, p)
		}
	}
}

// A manual upgrade waits after every domain, and so does its rollback. What was not touched is not
// touched by it either.
func TestManualAndRollback(t *testing.T) {
	t.Parallel()
	agents := otatest.IDs("ok-", 10)
	w := newWorld(t, 0, agents...)
	w.listen()
	w.post("Upgrade", describe("1.3.0", "UnmonitoredManual"), "")
	s := w.waitState("RollingForwardPending")
	if s.NextUpgradeDomain != "UD1" || s.domains() != "UD1 Pending, UD2 Pending, UD3 Pending, UD4 Pending, UD0 Completed" || s.UpgradeDomainDurationInMilliseconds != "PT0H0M0S" {
		t.Errorf("waiting: %+v", s)
	}
	w.post("MoveToNextUpgradeDomain", moveTo("UD2"), "E_INVALIDARG")
	w.post("MoveToNextUpgradeDomain", moveTo("nowhere"), "E_INVALIDARG")
	w.post("MoveToNextUpgradeDomain", moveTo("UD0"), "FABRIC_E_UPGRADE_DOMAIN_ALREADY_COMPLETED")
	w.post("MoveToNextUpgradeDomain", "{}", "E_INVALIDARG")
	w.post("MoveToNextUpgradeDomain", moveTo("UD1"), "")
	s = w.wait("before UD2", func(s *state) bool { return s.NextUpgradeDomain == "UD2" && s.UpgradeState == "RollingForwardPending" })
	w.all("1.3.0", "ok-01", "ok-02", "ok-06", "ok-07")
	if s.StartTimestampUtc == "0001-01-01T00:00:00.000Z" || s.FailureTimestampUtc != "0001-01-01T00:00:00.000Z" {
		t.Errorf("times: %+v", s)
	}

	w.post("RollbackUpgrade", "", "")
	s = w.waitState("RollingBackPending")
	if s.TargetApplicationTypeVersion != "1.0.0" || s.UpgradeDescription.TargetApplicationTypeVersion != "1.0.0" || s.FailureReason != "Interrupted" ||
		s.FailureTimestampUtc == "0001-01-01T00:00:00.000Z" || s.RollingUpgradeMode != "UnmonitoredManual" {
		t.Errorf("going back: %+v", s)
	}
	if s.NextUpgradeDomain != "UD0" || s.domains() != "UD0 Pending, UD1 Completed, UD2 Completed, UD3 Completed, UD4 Completed" {
		t.Errorf("domains going back: %s, next %s", s.domains(), s.NextUpgradeDomain)
	}
	w.post("RollbackUpgrade", "", "")
	w.post("Upgrade", describe("1.3.0", "UnmonitoredManual"), "FABRIC_E_APPLICATION_UPGRADE_IN_PROGRESS")
	w.post("MoveToNextUpgradeDomain", moveTo("UD1"), "FABRIC_E_UPGRADE_DOMAIN_ALREADY_COMPLETED")
	w.post("MoveToNextUpgradeDomain", moveTo("UD0"), "")
	s = w.waitState("RollingBackCompleted")
	if s.TargetApplicationTypeVersion != "1.0.0" || s.FailureReason != "Interrupted" || s.NextUpgradeDomain != "" {
		t.Errorf("back: %+v", s)
	}
	w.all("1.0.0", "ok-01", "ok-02", "ok-06", "ok-07")
	w.all("", "ok-03", "ok-04", "ok-05", "ok-08", "ok-09", "ok-10")
	w.post("RollbackUpgrade", "", "FABRIC_E_APPLICATION_NOT_UPGRADING")

	w.post("Upgrade", describe("1.0.0", "UnmonitoredAuto"), "") // the old version, once more: it was interrupted
	w.waitState("RollingForwardCompleted")
	w.post("Upgrade", describe("1.0.0", "UnmonitoredAuto"), "FABRIC_E_APPLICATION_ALREADY_IN_TARGET_VERSION")
	for _, p := range w.plans() {
		if p.RollbackPlan == "" {
			continue
		}
		r, err := w.engine.Plan(t.Context(), p.RollbackPlan)
		if err != nil || r.CreatedBy != "ann" || r.Agents != 4 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// A rollback interrupts the calls that are out, and takes back what they may have done.
func TestRollbackInterrupts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, "ok-1", "hang-2", "ok-3")
	w.post("Upgrade", describe("2", "UnmonitoredAuto"), "")
	s := w.wait("in UD1", func(s *state) bool {
		return s.CurrentUpgradeDomainProgress.DomainName == "UD1" && len(s.CurrentUpgradeDomainProgress.NodeUpgradeProgressList) == 1 &&
			s.CurrentUpgradeDomainProgress.NodeUpgradeProgressList[0].UpgradePhase == "Upgrading"
	})
	if s.UpgradeState != "RollingForwardInProgress" || s.domains() != "UD1 InProgress, UD2 Pending, UD0 Completed" || s.NextUpgradeDomain != "UD2" {
		t.Errorf("got %+v", s)
	}
	w.post("MoveToNextUpgradeDomain", moveTo("UD2"), "E_INVALIDARG")
	w.post("RollbackUpgrade", "", "")
	s = w.waitState("RollingBackCompleted")
	if at := s.UpgradeDomainProgressAtFailure; at.DomainName != "UD1" || len(at.NodeUpgradeProgressList) != 1 || at.NodeUpgradeProgressList[0].NodeName != "hang-2" {
		t.Errorf("at the failure: %+v", at)
	}
	w.all("1.0.0", "ok-1", "hang-2")
	w.all("", "ok-3")
}

// Whenever a rollback comes, what it answers is what happens: 200 and the agents are as before, or
// 400 and they are upgraded.
func TestRollbackAtAnyTime(t *testing.T) {
	t.Parallel()
	answers := map[string]int{}
	for i := range 60 {
		t.Run("", func(t *testing.T) {
			w := newWorld(t, 0, "ok-1", "ok-2")
			w.post("Upgrade", describe("2", "UnmonitoredAuto"), "")
			time.Sleep(time.Duration(i) * 50 * time.Microsecond)
			_, code, _ := w.send(http.MethodPost, app+"RollbackUpgrade?api-version=6.0", "")
			answers[code]++
			switch code {
			case "":
				w.waitState("RollingBackCompleted")
				for _, a := range []string{"ok-1", "ok-2"} {
					if v := w.fleet.Version(a); v != "1.0.0" && v != "" {
						t.Errorf("%s runs %s", a, v)
					}
				}
			case "FABRIC_E_APPLICATION_NOT_UPGRADING":
				w.waitState("RollingForwardCompleted")
				w.all("2", "ok-1", "ok-2")
			default:
				t.Errorf("got %s", code)
			}
		})
	}
	if len(answers) != 2 {
		t.Logf("every answer was the same: %v", answers)
	}
}

// An upgrade that has touched nothing is rolled back by ending it.
func TestRollbackOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, "away-1", "ok-2")
	w.post("Upgrade", describe("2", "UnmonitoredAuto"), "")
	w.wait("away", func(*state) bool { return w.plans()[0].Counts.Waiting == 1 })
	w.post("RollbackUpgrade", "", "")
	s := w.waitState("RollingBackCompleted")
	if s.FailureReason != "Interrupted" || s.TargetApplicationTypeVersion != "1.0.0" {
		t.Errorf("got %+v", s)
	}
	w.post("RollbackUpgrade", "", "FABRIC_E_APPLICATION_NOT_UPGRADING")
}

// Another upgrade while one is pending rolls that one back and follows it; of several the last one
// does.
func TestGoal(t *testing.T) {
	t.Parallel()
	agents := otatest.IDs("ok-", 5)
	w := newWorld(t, 20*time.Millisecond, agents...)
	w.post("Upgrade", describe("2", "UnmonitoredManual"), "")
	w.post("Upgrade", describe("2", "UnmonitoredManual"), "FABRIC_E_APPLICATION_UPGRADE_IN_PROGRESS")
	w.waitState("RollingForwardPending")
	w.post("Upgrade", describe("3", "Monitored", `"MonitoringPolicy":{"UpgradeTimeoutInMilliseconds":"PT1S"}`), "FABRIC_E_APPLICATION_UPGRADE_VALIDATION_ERROR")
	w.post("Upgrade", describe("3", "UnmonitoredAuto"), "")
	w.post("Upgrade", describe("3", "UnmonitoredAuto"), "FABRIC_E_APPLICATION_UPGRADE_IN_PROGRESS")
	w.post("Upgrade", describe("4", "UnmonitoredAuto"), "")
	w.wait("at 4", func(s *state) bool {
		return s.UpgradeState == "RollingForwardCompleted" && s.TargetApplicationTypeVersion == "4"
	})
	w.all("4", agents...)
	if n := len(w.plans()); n != 2 {
		t.Errorf("got %d plans, want 2", n)
	}
	if p := w.plans()[0]; p.CreatedBy != "ann" || p.FromVersion != "1.0.0" {
		t.Errorf("got %+v", p)
	}
}

// A rollback drops the upgrade that was to follow, and a rollback that was held goes through for
// one.
func TestGoalDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, otatest.IDs("ok-", 5)...)
	w.post("Upgrade", describe("2", "UnmonitoredManual"), "")
	w.waitState("RollingForwardPending")
	w.post("MoveToNextUpgradeDomain", moveTo("UD1"), "")
	w.wait("before UD2", func(s *state) bool { return s.NextUpgradeDomain == "UD2" })
	w.fleet.SetRollback("ok-1", otatest.Hang)
	w.post("RollbackUpgrade", "", "")
	w.waitState("RollingBackPending")
	w.post("Upgrade", describe("3", "UnmonitoredAuto"), "")
	s := w.wait("in UD0", func(s *state) bool { return s.domains() != "" && strings.HasPrefix(s.domains(), "UD0 InProgress") })
	if s.RollingUpgradeMode != "UnmonitoredAuto" || s.UpgradeState != "RollingBackInProgress" {
		t.Errorf("got %+v", s)
	}
	w.post("RollbackUpgrade", "", "")
	p := w.plans()[0]
	if _, err := w.engine.Cancel(t.Context(), p.RollbackPlan, true, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	w.waitState("Failed") // its rollback was given up
	w.post("RollbackUpgrade", "", "FABRIC_E_APPLICATION_NOT_UPGRADING")
	w.fleet.SetRollback("ok-1", otatest.OK)
	w.post("Upgrade", describe("4", "UnmonitoredAuto"), "")
	w.wait("at 4", func(s *state) bool {
		return s.UpgradeState == "RollingForwardCompleted" && s.TargetApplicationTypeVersion == "4"
	})
	if n := len(w.plans()); n != 2 {
		t.Errorf("got %d plans, want 2: the one that was dropped came", n)
	}
}

// What a process that died has begun is finished by another one's Run: an interruption, and an
// upgrade that waits.
func TestRunFinishes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, otatest.IDs("ok-", 5)...)
	w.handler(servicefabric.Options{Inventory: apps(t, otatest.IDs("ok-", 5)...)}) // this one's Run is not called yet
	w.post("Upgrade", describe("2", "UnmonitoredManual"), "")
	w.waitState("RollingForwardPending")
	p := w.plans()[0]
	by := ota.Request{Actor: "ann"}
	if _, err := w.engine.Pause(t.Context(), p.ID, by); err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.Annotate(t.Context(), p.ID, map[string]string{
		"servicefabric.failure": `{"Reason":"Interrupted","At":"2026-01-01T00:00:00Z","Actor":"ann"}`,
		"servicefabric.goal":    `{"Description":` + describe("3", "UnmonitoredAuto") + `,"Actor":"ann"}`,
	}, nil, by); err != nil {
		t.Fatal(err)
	}
	if s := w.progress(); s.UpgradeState != "RollingBackInProgress" || s.domains() != "" {
		t.Errorf("between the two: %+v", s)
	}
	time.Sleep(600 * time.Millisecond)
	if st := w.plans()[0].Status; st != ota.StatusPaused {
		t.Errorf("somebody has gone on: %v", st)
	}
	testserver.Run(t, w.h.Run)
	w.wait("at 3", func(s *state) bool {
		return s.UpgradeState == "RollingForwardCompleted" && s.TargetApplicationTypeVersion == "3"
	})
	if p := w.plans(); len(p) != 2 || p[1].Annotations["servicefabric.launch"] != "" || p[1].Annotations["servicefabric.goal"] != "" {
		t.Errorf("got %+v", p)
	}
}

// Whoever says the same thing at the same time, one upgrade comes of it, and one rollback.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, "ok-1", "hang-2", "ok-3")
	w.listen()
	codes := func(call string, bodies ...string) map[string]int {
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[string]int{}
		for _, body := range bodies {
			wg.Go(func() {
				_, code, _ := w.send(http.MethodPost, app+call+"?api-version=6.0", body)
				mu.Lock()
				defer mu.Unlock()
				got[code]++
			})
		}
		wg.Wait()
		return got
	}
	same := describe("2", "UnmonitoredAuto")
	if got := codes("Upgrade", same, same, same, same, same, same); got[""]+got["FABRIC_E_APPLICATION_UPGRADE_IN_PROGRESS"] != 6 || got[""] < 1 {
		t.Errorf("upgrades: %v", got)
	}
	if n := len(w.plans()); n != 1 {
		t.Errorf("got %d plans", n)
	}
	w.wait("in UD1", func(s *state) bool { return s.CurrentUpgradeDomainProgress.DomainName == "UD1" })
	w.fleet.SetRollback("ok-1", otatest.Hang)
	if got := codes("RollbackUpgrade", "", "", "", "", "", ""); got[""] != 6 {
		t.Errorf("rollbacks: %v", got)
	}
	a, b := describe("3", "UnmonitoredAuto"), describe("4", "UnmonitoredAuto")
	if got := codes("Upgrade", a, b); got[""] != 2 {
		t.Errorf("goals: %v", got)
	}
}

// late is a store in which making a plan takes so long that two requests find nothing pending.
type late struct{ *memstore.Store }

func (s late) Create(ctx context.Context, p ota.PlanRow, rows iter.Seq2[ota.Row, error], first func() (ota.Commit, error)) error {
	time.Sleep(50 * time.Millisecond)
	return s.Store.Create(ctx, p, rows, first)
}

// Two different upgrades at the same instant: one begins, and the other one follows it.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	w := &world{t: t, fleet: otatest.NewFleet(otatest.Options{})}
	var err error
	if w.engine, err = ota.New(late{memstore.New()}, w.fleet, ota.Options{DrainTimeout: -1}); err != nil {
		t.Fatal(err)
	}
	testserver.Run(t, w.engine.Run)
	w.handler(servicefabric.Options{Inventory: apps(t, "ok-1", "ok-2", "ok-3")})
	testserver.Run(t, w.h.Run)
	var wg sync.WaitGroup
	for _, version := range []string{"2", "3"} {
		wg.Go(func() {
			if _, code, message := w.send(http.MethodPost, app+"Upgrade?api-version=6.0", describe(version, "UnmonitoredManual")); code != "" {
				t.Errorf("%s: got %s %s", version, code, message)
			}
		})
	}
	wg.Wait()
	w.wait("at the second", func(*state) bool { return len(w.plans()) == 2 && w.plans()[0].Counts.Succeeded == 1 })
	if p := w.plans(); p[0].FromVersion != "1.0.0" || p[1].FromVersion != "1.0.0" || p[0].ToVersion == p[1].ToVersion {
		t.Errorf("got %+v", p)
	}
}

// Agents that another plan holds are not upgraded, and nothing is left behind.
func TestClaimed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, "hang-1", "ok-2")
	p, err := w.engine.Create(t.Context(), ota.Spec{Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("hang-1")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.Start(t.Context(), p.ID, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	w.post("Upgrade", describe("2", "UnmonitoredAuto"), "FABRIC_E_APPLICATION_UPGRADE_IN_PROGRESS")
	if s := w.progress(); s.UpgradeState != "RollingForwardCompleted" || s.RollingUpgradeMode != "Invalid" {
		t.Errorf("got %+v", s)
	}
	if _, err := w.engine.Cancel(t.Context(), p.ID, true, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.Wait(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	w.fleet.Set("hang-1", otatest.OK)
	w.post("Upgrade", describe("2", "UnmonitoredAuto"), "")
	w.waitState("RollingForwardCompleted")
	w.all("2", "hang-1", "ok-2")
}

// What a description says for the Executor is in its attempts, forward and back.
func TestAttempts(t *testing.T) {
	t.Parallel()
	seen := make(chan ota.Attempt, 10)
	e, err := ota.New(memstore.New(), ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		seen <- a
		return ota.Result{Version: a.ToVersion}, nil
	}), ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, engine: e, fleet: otatest.NewFleet(otatest.Options{})}
	testserver.Run(t, e.Run)
	w.handler(servicefabric.Options{Inventory: apps(t, "a", "b"), Concurrency: 7})
	w.post("Upgrade", describe("2", "UnmonitoredManual", `"ForceRestart":true,"UpgradeReplicaSetCheckTimeoutInSeconds":60`), "")
	w.waitState("RollingForwardPending")
	w.post("RollbackUpgrade", "", "")
	w.waitState("RollingBackCompleted")
	for _, back := range []bool{false, true} {
		a := <-seen
		if a.Agent != "a" || a.IsRollback != back || a.Annotations["servicefabric.forceRestart"] != "true" || a.Annotations["servicefabric.replicaSetCheckTimeout"] != "60" {
			t.Errorf("got %+v", a)
		}
	}
	if c := w.plans()[0].Policy.Concurrency; c != 7 {
		t.Errorf("concurrency %d", c)
	}
}
