package plural

import "testing"

func TestPlural(t *testing.T) {
	for want, got := range map[string]string{
		"0 agents": Count(0, "agent"), "1 agent": Count(1, "agent"), "2 agents": Count(2, "agent"), "1 batch": Count(1, "batch"), "3 batches": Count(3, "batch"),
		"1 agent of batch 3": Count(1, "agent/of batch 3"), "2 agents of batch 3": Count(2, "agent/of batch 3"),
		"1 agent is": Are(1, "agent"), "2 agents are": Are(2, "agent"), "keeps": Verb(1, "keeps", "keep"), "keep": Verb(0, "keeps", "keep"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
