package memstore

import (
	"reflect"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/clonetest"
)

func TestCopiesShareNothing(t *testing.T) {
	t.Run("Progress", func(t *testing.T) {
		clonetest.Check(t, func(p ota.Progress) (c ota.Progress) {
			copyProgress(&c, &p)
			return c
		})
	})
	t.Run("AgentState", func(t *testing.T) {
		clonetest.Check(t, func(s ota.AgentState) (c ota.AgentState) {
			var kept chunk
			kept.addState(&ota.AgentState{})
			kept.addState(&s)
			kept.copyState(&c, 1)
			return c
		}, reflect.TypeFor[*ota.TaskMore](), reflect.TypeFor[*ota.AgentMore]())
	})
	t.Run("BatchRow needs no clone", func(t *testing.T) {
		clonetest.Check(t, func(b ota.BatchRow) ota.BatchRow { return b })
	})
}

func TestNothingOfEmptySlicesIsKept(t *testing.T) {
	backing := []ota.TaskState{{Number: 7}}
	var kept chunk
	kept.addState(&ota.AgentState{Rest: backing})
	kept.setState(0, &ota.AgentState{Rest: backing[:0]})
	kept.setState(0, &ota.AgentState{Rest: []ota.TaskState{{Number: 8}}})
	if backing[0].Number != 7 {
		t.Error("a further task was written into a slice that somebody else owns")
	}
}
