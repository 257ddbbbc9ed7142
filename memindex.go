package ota

import "hash/maphash"

// memIndex finds an ordinal by agent ID: an open hash table that leaves the IDs where they are. A slot is the upper half
// of the ID's hash and the ordinal+1, so that hardly any ID but the right one is ever looked at; 0 is free.
type memIndex struct {
	seed    maphash.Seed
	slots   []uint64
	fetched uint64 // says nothing; without it the compiler would leave out reading ahead
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

// indexed returns the index of all agents, or the ordinal of the first whose ID another one before it has. It works in groups, and
// reads the places of a group before it fills them: the processor waits for all of them together, which takes half as long.
func (a *memAgents) indexed() (x memIndex, twice int, ok bool) {
	x = newMemIndex(a.count)
	var hashes [32]uint64
	for from := 0; from < a.count; from += len(hashes) {
		group := hashes[:min(len(hashes), a.count-from)]
		for i := range group {
			group[i] = maphash.String(x.seed, a.id(from+i))
		}
		for _, hash := range group {
			x.fetched |= x.slots[x.place(hash)]
		}
		for i, hash := range group {
			if !x.add(a, from+i, hash) {
				return x, from + i, false
			}
		}
	}
	return x, 0, true
}

// add reports false when an agent with the ordinal's ID, whose hash this is, is in the index already.
func (x *memIndex) add(a *memAgents, ordinal int, hash uint64) bool {
	at := x.slot(a, a.id(ordinal), hash)
	if x.slots[at] != 0 {
		return false
	}
	x.slots[at] = hash&^memOrdinal | uint64(ordinal+1)
	return true
}
