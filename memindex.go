package ota

import "hash/maphash"

// memIndex finds an ordinal by agent ID: an open hash table that leaves the IDs where they are. A slot is the upper half
// of the ID's hash and the ordinal+1, so that hardly any ID but the right one is ever looked at; 0 is free.
type memIndex struct {
	seed  maphash.Seed
	slots []uint64
	used  int
}

// newMemIndex returns an index with room for n agents.
func newMemIndex(n int) memIndex {
	size := 16
	for 3*size < 4*n {
		size *= 2
	}
	return memIndex{seed: maphash.MakeSeed(), slots: make([]uint64, size)}
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
	if 4*(x.used+1) > 3*len(x.slots) {
		x.grow()
	}
	id := a.id(ordinal)
	hash := maphash.String(x.seed, id)
	at := x.slot(a, id, hash)
	if x.slots[at] != 0 {
		return false
	}
	x.slots[at] = hash&^memOrdinal | uint64(ordinal+1)
	x.used++
	return true
}

func (x *memIndex) grow() {
	old := x.slots
	x.slots = make([]uint64, 2*len(old))
	for _, s := range old {
		if s == 0 {
			continue
		}
		at := x.place(s)
		for x.slots[at] != 0 {
			at = (at + 1) & (len(x.slots) - 1)
		}
		x.slots[at] = s
	}
}
