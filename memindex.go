package ota

import "hash/maphash"

// memIndex finds an ordinal by agent ID: an open hash table of ordinals, a third of the memory of a map, because the
// IDs are looked up where they are.
type memIndex struct {
	seed  maphash.Seed
	slots []int32 // ordinal+1; 0 is free
	used  int
}

// newMemIndex returns an index with room for n agents.
func newMemIndex(n int) memIndex {
	size := 16
	for size < 2*n {
		size *= 2
	}
	return memIndex{seed: maphash.MakeSeed(), slots: make([]int32, size)}
}

// slot returns where id is, or the free slot where it would be.
func (x *memIndex) slot(idOf func(int) string, id string) int {
	mask := len(x.slots) - 1
	at := int(maphash.String(x.seed, id)) & mask
	for x.slots[at] != 0 && idOf(int(x.slots[at]-1)) != id {
		at = (at + 1) & mask
	}
	return at
}

func (x *memIndex) find(idOf func(int) string, id string) (ordinal int, ok bool) {
	at := x.slots[x.slot(idOf, id)]
	return int(at) - 1, at != 0
}

// add reports false when the ordinal's ID is in the index already.
func (x *memIndex) add(idOf func(int) string, ordinal int) bool {
	if 2*(x.used+1) > len(x.slots) {
		old := x.slots
		x.slots = make([]int32, 2*len(old))
		for _, kept := range old {
			if kept != 0 {
				x.slots[x.slot(idOf, idOf(int(kept-1)))] = kept
			}
		}
	}
	at := x.slot(idOf, idOf(ordinal))
	if x.slots[at] != 0 {
		return false
	}
	x.slots[at] = int32(ordinal + 1)
	x.used++
	return true
}
