package simulate

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// The table of the ready policies in docs/policies.md is what simulations of them do to 10,000
// agents. No harm is more than Preview says.
func TestReadyPolicies(t *testing.T) {
	t.Parallel()
	agents := names("a", 10_000)
	doc, err := os.ReadFile("../docs/policies.md")
	require.NoError(t, err)
	for name, ready := range map[string]func() (ota.Shape, ota.Policy){"Careful": ota.Careful, "Standard": ota.Standard, "Push": ota.Push} {
		shape, policy := ready()
		s := simSpec(policy, agents...)
		s.Shape = shape
		e, err := Earliest(t.Context(), s, 20*time.Second, time.Time{})
		require.NoError(t, err)
		cells := []string{"`" + name + "`", strings.TrimSuffix(e.Takes.Round(time.Minute).String(), "0s")}
		for _, most := range preview(t, s).Harm {
			f := breaks(most)
			f.takes = func() time.Duration { return 20 * time.Second }
			got := harmed(t, s, f)
			require.LessOrEqual(t, got.Agents, most.Agents, "%s %+v", name, most)
			cells = append(cells, fmt.Sprint(got.Agents))
		}
		if row := "| " + strings.Join(cells, " | ") + " |\n"; !strings.Contains(string(doc), row) {
			t.Errorf("docs/policies.md does not have the row %s", row)
		}
	}
}

// Every call returns new values, which Create accepts without a warning about what is judged.
func TestReadyPoliciesAreIndependent(t *testing.T) {
	t.Parallel()
	_, one := ota.Careful()
	*one.FailureThreshold, one.Expect.Normal = 1, 0.5
	_, other := ota.Careful()
	require.Equal(t, 0.0, *other.FailureThreshold)
	require.Equal(t, ota.DefaultNormal, other.Expect.Normal)
}
