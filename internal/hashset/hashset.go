// Package hashset has a set of 64-bit hashes that takes half the time and memory of a map.
package hashset

// Set is a set of 64-bit hashes: an open hash table with linear probing. It places a hash by its
// lowest bits, so they must be spread evenly. It takes 0 and 1 for the same hash. The zero value is
// empty and ready to use. It is not safe for concurrent use.
type Set struct {
	slots []uint64 // a power of two of them; 0 is free
	used  int

	// sink receives what Prefetch reads. Nothing reads sink. Without it the compiler would remove
	// the loads of Prefetch, because nothing would use their results.
	sink uint64
}

// Len returns the number of hashes in the set.
func (s *Set) Len() int { return s.used }

// Prefetch reads the slots of hashes that are about to be added, and changes nothing. A large set
// is mostly not in the processor's cache. The loads here do not depend on one another, so the
// processor waits for all of them at once. Add would wait for one after the other.
func (s *Set) Prefetch(hashes []uint64) {
	if len(s.slots) == 0 {
		return
	}
	for _, h := range hashes {
		s.sink |= s.slots[int(h)&(len(s.slots)-1)]
	}
}

// Add adds h, and reports false if h is in the set already.
func (s *Set) Add(h uint64) bool {
	if 4*(s.used+1) > 3*len(s.slots) {
		s.grow()
	}
	if h == 0 {
		h = 1 // 0 is a free slot; 1 is as good a hash
	}
	at := s.place(h)
	if s.slots[at] == h {
		return false
	}
	s.slots[at] = h
	s.used++
	return true
}

// Has reports whether h is in the set.
func (s *Set) Has(h uint64) bool {
	return len(s.slots) > 0 && s.slots[s.place(max(h, 1))] != 0
}

// place returns the slot of h, or the free slot that h would get.
func (s *Set) place(h uint64) int {
	mask := len(s.slots) - 1
	at := int(h) & mask
	for s.slots[at] != 0 && s.slots[at] != h {
		at = (at + 1) & mask
	}
	return at
}

func (s *Set) grow() {
	old := s.slots
	s.slots = make([]uint64, max(16, 2*len(old)))
	for _, h := range old {
		if h != 0 {
			s.slots[s.place(h)] = h
		}
	}
}
