package ota

import "hash/maphash"

// memIndex finds an ordinal by agent ID: an open hash table that leaves the IDs where they are. A slot is the upper half
// of the ID's hash and the ordinal+1, so that hardly any ID but the right one is ever looked at; 0 is free.
type memIndex struct {
	seed  maphash.Seed
	slots []uint64
}

// newMemIndex returns an index with room for n agents.
func newMemIndex(n int) memIndex {
	size := 16
	for 3*size < 4*n {
		size *= 2
	}
	return memIndex{seed: maphash.MakeSeed(), slots: make([]uint64, size)}
}

// indexed returns the index of all agents, or the first one whose ID another one before it has. Doing this for all of them in one loop
// takes half as long as while they come, because the processor then waits for several places in the table at once.
func (a *memAgents) indexed() (x memIndex, twice int, ok bool) {
	x = newMemIndex(a.count)
	for ordinal := range a.count {
		if !x.add(a, ordinal) {
			return x, ordinal, false
		}
	}
	return x, 0, true
}

const memOrdinal = 1<<32 - 1

// place returns where to look first for a hash: from its upper half, which is all that a slot keeps.
func (x *memIndex) place(hash uint64) int { return int(hash>>32) & (len(x.slots) - 1) }

// slot returns where the agent with this ID is, or the free slot where it would be.
func (x *memIndex) slot(a *memAgents, id string, hash uint64) int {
	at := x.place(hash)
	for {
		s := x.slots[at]
		if s == 0 || s>>32 == hash>>32 && a.id(int(s&memOrdinal)-1) == id {
			return at
		}
		at = (at + 1) & (len(x.slots) - 1)
	}
}

func (x *memIndex) find(a *memAgents, id string) (ordinal int, ok bool) {
	s := x.slots[x.slot(a, id, maphash.String(x.seed, id))]
	return int(s&memOrdinal) - 1, s != 0
}

// add reports false when an agent with the ordinal's ID is in the index already.
func (x *memIndex) add(a *memAgents, ordinal int) bool {
	id := a.id(ordinal)
	hash := maphash.String(x.seed, id)
	at := x.slot(a, id, hash)
	if x.slots[at] != 0 {
		return false
	}
	x.slots[at] = hash&^memOrdinal | uint64(ordinal+1)
	return true
}
