package memstore

import (
	"maps"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// However often plans claim, end and are pruned, the table of claims says what a map would.
func TestClaimsAgreeWithAMap(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	var c claimTable
	var plans []*planEntry
	holds := map[string]*planEntry{}
	for round := range 400 {
		b := newBuilder()
		for _, i := range draw.Perm(300)[:1+draw.IntN(60)] {
			require.NoError(t, b.add(&ota.Row{Kind: ota.KindAgent, Number: b.count, ID: "a" + strconv.Itoa(i)}))
		}
		p := &planEntry{id: strconv.Itoa(round), tables: b.finish()}
		want := 0
		for i := range p.agents().count {
			if h := holds[p.agents().id(i)]; h != nil && !h.ended() {
				want++
			}
		}
		_, total, err := c.take(p, "", &leases{})
		require.NoError(t, err)
		require.Equal(t, want, total)
		if total == 0 {
			plans = append(plans, p)
			for i := range p.agents().count {
				holds[p.agents().id(i)] = p
			}
		}
		if i := len(plans) - 1; i >= 0 && draw.IntN(2) == 0 {
			plans[i].row.Head.Ended = time.Unix(1, 0)
			if draw.IntN(2) == 0 {
				plans[i].gone = true
				c.forget(map[*planEntry]bool{plans[i]: true})
				maps.DeleteFunc(holds, func(_ string, h *planEntry) bool { return h == plans[i] })
			}
			plans = plans[:i]
		}
		used := 0
		for i := range c.table {
			if c.table[i].holder != nil {
				used++
			}
		}
		require.Equal(t, len(holds), used)
		require.Equal(t, used, c.used)
	}
}
