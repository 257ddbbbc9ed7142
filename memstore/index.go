package memstore

import "hash/maphash"

// place returns where to look first for a hash: from its upper half, which is all that a slot
// keeps.
func (x *index) place(hash uint64) int { return int(hash>>32) & (len(x.slots) - 1) }

// slot returns where the agent with this ID is, or the free slot where it would be.
func (x *index) slot(a *rowTable, id string, hash uint64) int {
	at := x.place(hash)
	for {
		s := x.slots[at]
		if s == 0 || s>>32 == hash>>32 && a.id(int(s&ordinalMask)-1) == id {
			return at
		}
		at = (at + 1) & (len(x.slots) - 1)
	}
}

func (x *index) find(a *rowTable, id string) (ordinal int, ok bool) {
	s := x.slots[x.slot(a, id, maphash.String(x.seed, id))]
	return int(s&ordinalMask) - 1, s != 0
}

// indexed returns the index of all agents. If an ID comes twice, it returns the ordinal of the
// second one, and ok is false. It reads the slots of a group of agents before it fills them. So the
// processor waits for the whole group at once, which takes half as long.
func (a *rowTable) indexed() (x index, twice int, ok bool) {
	x = newIndex(a.count)
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
			if a.id(from+i) != "" && !x.add(a, from+i, hash) {
				return x, from + i, false
			}
		}
	}
	return x, 0, true
}

// add reports false when an agent with the ordinal's ID, whose hash this is, is in the index
// already.
func (x *index) add(a *rowTable, ordinal int, hash uint64) bool {
	at := x.slot(a, a.id(ordinal), hash)
	if x.slots[at] != 0 {
		return false
	}
	x.slots[at] = hash&^ordinalMask | uint64(ordinal+1)
	return true
}
