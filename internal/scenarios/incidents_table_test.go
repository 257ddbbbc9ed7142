package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

const tenMinutes = "push by ten, 10 min"

var incidents = []incident{
	{
		name: "CrowdStrike, July 2024", source: "https://www.crowdstrike.com/en-us/blog/falcon-content-update-preliminary-post-incident-report/",
		happened: "A content file went to all sensors at once, and was live for 78 minutes. 8.5 million machines crashed, and answered nothing more.",
		plays: []played{
			{plan: tenMinutes, spec: push(10 * time.Minute), agents: 10_000, bad: does(silences, 0), bound: 10},
			{plan: "careful", spec: carefully, agents: 1000, bad: does(silences, 0), bound: 1, note: "The fleet is smaller here, since the good release takes long."},
		},
	},
	{
		name: "Datadog, March 2023", source: "https://www.datadoghq.com/blog/2023-03-08-multiregion-infrastructure-connectivity-issue/",
		happened: "An automatic update of the operating system restarted a service in five regions within an hour, and tens of thousands of nodes lost their network. Their monitoring was in the same fleet.",
		plays: []played{
			{plan: "one region at a time, push by ten, 10 min", spec: regions, agents: 10_000, labels: inFive, bad: does(silences, 0), bound: 10},
			{
				plan: "the same with rollback, and the harm comes from outside", agents: 10_000, labels: inFive, bound: 0, measure: takenBack,
				spec: func() ota.Spec { s := regions(); s.Policy.OnBreach = ota.ActionRollback; return s },
				bad: func() simulate.Fleet {
					return &hall{outage: outageTime{silences, 25 * time.Minute, 24 * time.Hour}}
				},
				note: "A good release is on its way when all nodes lose their network for another reason. The figure is how many healthy upgrades are taken back. Agents that the plan has not begun are sick too, so the plan pauses and takes none back.",
			},
		},
	},
	{
		name: "Cloudflare, November 2025", source: "https://blog.cloudflare.com/18-november-2025-outage/",
		happened: "A feature file, made anew every few minutes, was too large. It went to every machine, and the proxies failed at once.",
		plays: []played{{
			plan: "push by ten, 2 min", spec: push(2 * time.Minute), agents: 10_000, bad: does(fails, 0), bound: 10,
			note: "The next file is made before this one has passed. A plan does not decide between files.",
		}},
	},
	{
		name: "Azure Front Door, October 2025", source: "https://azure.status.microsoft/en-us/status/history/?trackingId=YKYN-BWZ",
		happened: "A configuration crashed the data plane some five minutes after it was loaded. Health looked good until then, and the last known good state was overwritten.",
		plays: []played{
			{plan: tenMinutes, spec: push(10 * time.Minute), agents: 10_000, bad: does(sickens, 5*time.Minute), bound: 10},
			{
				plan: "push by ten, 2 min", spec: push(2 * time.Minute), agents: 10_000, bad: does(sickens, 5*time.Minute), bound: 1110,
				note: "The soak is shorter than the time until the harm shows. So three batches have begun: 10 + 100 + 1,000. The version before is fixed when an agent is first changed, so the way back is not overwritten.",
			},
		},
	},
	{
		name: "Azure Storage, November 2014", source: "https://azure.microsoft.com/en-us/blog/final-root-cause-analysis-and-improvement-areas-nov-18-azure-storage-service-interruption/",
		happened: "A change was tried on table front-ends, and then enabled on blob front-ends, where it caused an infinite loop. It went to most regions in one step.",
		plays: []played{
			{
				plan: "canary of 5, shuffled", spec: func() ota.Spec { return kinds(1) }, agents: 100, labels: oneInFive, other: missed(), bound: 73,
				note: "Of 100 agents, 20 are of the kind that breaks. The figure is how many of 200 plans, each with another seed, have none of them in the canary. So the release passes it.",
			},
			{
				plan: "canary of 5, which represents the kinds", spec: func() ota.Spec { return kinds(1, "kind") }, agents: 100, labels: oneInFive, other: missed("kind"), bound: 0,
				note: "The same 200 plans, with `Shape.Represent`.",
			},
		},
	},
	{
		name: "Google Compute Engine, April 2016", source: "https://status.cloud.google.com/incident/compute/16007",
		happened: "The canary found that a network configuration was unsafe. A second fault lost this answer, and the configuration went to all regions.",
		plays: []played{{
			plan: "push by ten, 10 min, with a gate", spec: push(10 * time.Minute), agents: 10_000, bound: 10,
			bad:  func() simulate.Fleet { return lostGate{&hall{harm: sickens, after: time.Hour}} },
			note: "The gate's answer is lost each time. A lost answer is no pass, so the plan pauses after the canary.",
		}},
	},
	{
		name: "Google Cloud, June 2025", source: "https://status.cloud.google.com/incidents/ow5i3PPK96RduMcb1SsW",
		happened: "New code went out region by region, but nothing ran it. Two weeks later a policy with blank fields was replicated to all regions within seconds, and every instance crashed.",
		plays: []played{
			{
				plan: tenMinutes, spec: push(10 * time.Minute), agents: 10_000, bad: does(sickens, 14*24*time.Hour), bound: 10_000, unbounded: true,
				note: "The code. Harm that shows only after the plan has ended is not seen by any plan.",
			},
			{
				plan: "one batch per region, 10 min", spec: regionByRegion, agents: 10_000, labels: inFive, bad: does(sickens, 0), bound: 2000,
				note: "The data, as a plan of its own: one of five regions is harmed.",
			},
		},
	},
	{
		name: "Fastly, June 2021", source: "https://www.fastly.com/blog/summary-of-june-8-outage",
		happened: "A fault was shipped in May. Four weeks later a valid change of one customer triggered it, and 85 % of the network returned errors.",
		plays: []played{{
			plan: "push by ten, 24 h", spec: push(24 * time.Hour), agents: 10_000, bad: does(sickens, 27*24*time.Hour), bound: 10_000, unbounded: true,
			note: "No soak is as long as four weeks. The engine has no answer.",
		}},
	},
	{
		name: "Knight Capital, August 2012", source: "https://www.sec.gov/litigation/admin/2013/34-70694.pdf",
		happened: "New code did not reach one of eight servers, and the release was called done. The old code of that server traded for 45 minutes.",
		plays: []played{
			{plan: "Complete.Min 1, unreachable agents are skipped", spec: servers(1), agents: 8, bad: missingOne, alone: true, measure: falselyDone, bound: 0, note: "The figure is the number of servers with the old code in a plan that is completed. The plan stays open with the reason `coverage`."},
			{plan: "unreachable agents are skipped", spec: servers(0), agents: 8, bad: missingOne, alone: true, measure: falselyDone, bound: 1, unbounded: true, note: "The plan is completed. Its coverage says `partial`."},
		},
	},
	{
		name: "Atlassian, April 2022", source: "https://www.atlassian.com/blog/atlassian-engineering/post-incident-review-april-2022-outage",
		happened: "A script got the IDs of sites instead of apps, and deleted the sites of 775 customers. Every step succeeded.",
		plays: []played{
			{plan: "canary of 1, then Hold", spec: held(true), agents: 775, bad: does(harmless, 0), alone: true, bound: 1, note: "A person looks at the canary before the next batch begins."},
			{plan: "canary of 1, no Hold", spec: held(false), agents: 775, bad: does(harmless, 0), alone: true, bound: 775, unbounded: true, note: "Nothing fails, so nothing stops the plan."},
		},
	},
	{
		name: "Rivian, November 2023", source: "https://electrek.co/2023/11/14/rivian-software-update-bricks-infotainment-system-fix-not-obvious/",
		happened: "The wrong build, with the wrong certificates, went out instead of the one that the beta testers had. The update hung at 90 %, and the screens stayed black.",
		plays:    []played{{plan: tenMinutes, spec: push(10 * time.Minute), agents: 10_000, bad: does(hangs, 0), bound: 10}},
	},
	{
		name: "Tesla, October 2021", source: "https://www.notebookcheck.net/Tesla-recalls-over-11-000-electric-cars-after-issues-caused-by-a-faulty-software-update.577216.0.html",
		happened: "FSD 10.3 went to 11,704 vehicles. Reports of false collision warnings came when people drove, the next morning. The model has 9 hours.",
		plays: []played{
			{plan: "push by ten, 24 h", spec: push(24 * time.Hour), agents: 11_704, bad: does(sickens, 9*time.Hour), bound: 10},
			{plan: "careful", spec: carefully, agents: 1000, bad: does(sickens, 9*time.Hour), bound: 576, note: "The fleet is smaller here. The figure is the same for 11,704 agents: every batch that has begun within 9 hours."},
			{plan: tenMinutes, spec: push(10 * time.Minute), agents: 11_704, bad: does(sickens, 9*time.Hour), bound: 11_704, unbounded: true, note: "The plan has ended before the harm shows. Only a longer soak helps."},
		},
	},
	{
		name: "Windows 1809, October 2018", source: "https://blogs.windows.com/windowsexperience/2018/10/09/updated-version-of-windows-10-october-2018-update-released-to-windows-insiders/",
		happened: "The update deleted files of one in 10,000 users.",
		plays: []played{
			{
				plan: "Expect 0.00001, push by ten, 10 min", spec: rare, agents: 70_000, bad: oneIn10000, measure: failed, bound: 6,
				note: "The fleet has 70,000 agents. The figure is how many lost files when the plan stopped, after 61,110 agents. No canary of less than 30,000 agents sees such a rate.",
			},
			{
				plan: "a tenth of each batch, push by ten, 10 min", spec: tenth, agents: 20_000, bad: oneIn10000, measure: failed, bound: 2, unbounded: true,
				note: "The plan completes: a tenth of a batch never fails. The fleet is smaller here.",
			},
		},
	},
	{
		name: "AWS DynamoDB, October 2025", source: "https://aws.amazon.com/message/101925/",
		happened: "A process that was late wrote an old plan for DNS records over a newer one. A cleanup then deleted that plan, and with it all addresses.",
		plays: []played{{
			plan: "two engines, one of them late", agents: 30, other: staleWrites, bound: 0,
			note: "Real engines instead of the simulation. The figure is how many commits the late engine writes after another one has taken over its plan. Each commit names the epoch and the progress number that it follows.",
		}},
	},
	{
		name: "Reddit, March 2023", source: "https://www.reddit.com/r/RedditEng/comments/11xx5o0/you_broke_reddit_the_piday_outage/",
		happened: "An upgrade of a cluster removed a label that its network needed. The upgrade could not be undone, and a backup was restored.",
		plays: []played{{
			plan: "standard, with rollback", spec: backOnBreach, agents: 100, bad: func() simulate.Fleet { return &hall{harm: sickens, stays: true} }, measure: stayBroken, bound: 2, unbounded: true,
			note: "The figure is how many agents stay broken. The canary limits them. But nothing in a Spec says that a release has no way back, so the engine makes a rollback plan that fails.",
		}},
	},
	{
		name:     "Two minutes without network",
		happened: "A good release is on its way when the network of the whole fleet is down for two minutes.",
		plays: []played{{
			plan: "standard, with rollback, observed to the end", agents: 1000, bound: 0, measure: takenBack,
			spec: func() ota.Spec { s := backOnBreach(); s.Policy.Soak.ToEnd = true; return s },
			bad:  func() simulate.Fleet { return &hall{outage: outageTime{sickens, 65 * time.Minute, 67 * time.Minute}} },
			note: "The figure is how many healthy upgrades are taken back. Agents that the plan has not begun are sick too, so the plan pauses and takes none back.",
		}},
	},
}

// The plans, and what is counted.

func push(soak time.Duration) func() ota.Spec {
	return func() ota.Spec { return pushByTen(soak) }
}

func does(h harm, after time.Duration) func() simulate.Fleet {
	return func() simulate.Fleet { return &hall{harm: h, after: after} }
}

var inFive = map[string]func(int) string{"region": func(i int) string { return string(rune('a' + i/2000)) }}

func regions() ota.Spec {
	s := pushByTen(10 * time.Minute)
	s.Policy.Budgets = []ota.Budget{{Label: "region", Values: 1}}
	return s
}

func regionByRegion() ota.Spec {
	s := pushByTen(10 * time.Minute)
	s.Shape = ota.Shape{Size: 2000}
	return s
}

var oneInFive = map[string]func(int) string{"kind": func(i int) string {
	if i%5 == 4 {
		return "blob"
	}
	return "table"
}}

func kinds(seed uint64, represent ...string) ota.Spec {
	return ota.Spec{Shape: ota.Shape{Canary: 5, Size: 95, Shuffle: seed, Represent: represent}, Policy: ota.Policy{Concurrency: 100, FailureThreshold: ptr(0.0), AttemptTimeout: time.Minute}}
}

// missed is how many of 200 canaries have no agent on which the release hangs.
func missed(represent ...string) func(*testing.T) int {
	return func(t *testing.T) (n int) {
		for seed := range uint64(200) {
			s := kinds(seed+1, represent...)
			s.Name, s.FromVersion, s.ToVersion, s.Agents = "kinds", "1", "2", fleetOf(100, oneInFive)
			r, err := play(s, &hall{harm: hangs, hits: func(a ota.Attempt) bool { return a.Labels["kind"] == "blob" }}, false)
			require.NoError(t, err)
			require.Equal(t, ota.StatusPaused, r.Plan.Status)
			if r.Plan.Changed > 5 {
				n++
			}
		}
		return n
	}
}

func servers(least float64) func() ota.Spec {
	return func() ota.Spec {
		return ota.Spec{Policy: ota.Policy{OnUnreachable: ota.UnreachableSkipped, Complete: ota.Complete{Min: least}}}
	}
}

func missingOne() simulate.Fleet {
	return &hall{harm: away, hits: func(a ota.Attempt) bool { return a.Agent == "a000007" }}
}

// falselyDone is how many agents have the old version in a plan that is completed.
func falselyDone(r *simulate.Result) int {
	if r.Plan.Status != ota.StatusCompleted {
		return 0
	}
	return r.Plan.Agents - r.Plan.Counts.Succeeded
}

func held(hold bool) func() ota.Spec {
	return func() ota.Spec {
		return ota.Spec{
			Shape:  ota.Shape{Canary: 1, Size: 100},
			Policy: ota.Policy{Concurrency: 10, Soak: ota.Soak{Duration: 30 * time.Minute}, Hold: ota.Hold{All: hold}},
		}
	}
}

func rare() ota.Spec {
	s := pushByTen(10 * time.Minute)
	s.Policy.FailureThreshold, s.Policy.Expect = nil, &ota.Expect{Normal: 1e-5, Alpha: 0.01}
	return s
}

func tenth() ota.Spec {
	s := pushByTen(10 * time.Minute)
	s.Policy.FailureThreshold = ptr(0.1)
	return s
}

func oneIn10000() simulate.Fleet {
	return &hall{harm: fails, hits: func(a ota.Attempt) bool { return a.Agent[len(a.Agent)-4:] == "9999" }}
}

func failed(r *simulate.Result) int { return r.Plan.Counts.Bad() }

func backOnBreach() ota.Spec {
	s := standardly()
	s.Policy.OnBreach = ota.ActionRollback
	return s
}

// takenBack is how many agents a rollback plan took back, or would.
func takenBack(r *simulate.Result) int {
	if r.Rollback == nil {
		return 0
	}
	return r.Rollback.Agents
}

// stayBroken is how many changed agents are not back at their version.
func stayBroken(r *simulate.Result) int {
	n := r.Plan.Changed
	if r.Rollback != nil {
		n -= r.Rollback.Counts.Succeeded
	}
	return n
}
