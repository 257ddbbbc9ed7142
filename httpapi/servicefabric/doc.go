// Package servicefabric serves the calls with which Azure Service Fabric upgrades an application,
// on an [ota.Engine]: Upgrade, GetUpgradeProgress, MoveToNextUpgradeDomain, UpdateUpgrade and
// RollbackUpgrade. A client of Service Fabric then upgrades a fleet of agents.
//
//	apps := servicefabric.Apps{}
//	err := apps.Add("myapp/app1", "agent-1", "agent-2", "agent-3")
//	h, err := servicefabric.New(engine, servicefabric.Options{Auth: httpapi.Tokens(…), Inventory: apps})
//	…
//	servicefabric.Mount(mux, h)
//	go h.Run(ctx)
//
// # What is what
//
// An application is a set of agents in upgrade domains, which the host's [Inventory] knows. Its
// upgrade is a plan with one batch for each domain, labelled with the application; the newest such
// plan is the one that all calls are about. A rollback is the plan's rollback plan.
// RollingUpgradeMode UnmonitoredAuto goes through, UnmonitoredManual holds every batch but the
// first until MoveToNextUpgradeDomain, Monitored observes every batch, and FailureAction is what a
// breach does. Lengths of time in a description are ISO 8601 ("PT2M"), else milliseconds;
// docs/servicefabric.md has what becomes of each field.
//
// # State
//
// A Handler keeps nothing of its own: what a description says besides, why an upgrade failed, and
// the upgrade that waits for a rollback to end are annotations of the plan. So any number of
// handlers may serve one Store, and a restarted one goes on. [Handler.Run] starts the upgrades that
// wait, and finishes what a process that died has begun.
//
// # Answers and refusals
//
// Success is 200, mostly with an empty body. A refusal is
// {"Error":{"Code":"FABRIC_E_…","Message":"…"}}, and so is every wrong path, verb or api-version:
// 400 E_INVALIDARG, as the real gateway has it. What cannot be read, and what a description must
// not say, is 400; a Store that does not answer is 503. Nothing is ever 500.
package servicefabric
