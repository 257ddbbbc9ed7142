package ota

// hashSet is a set of 64-bit hashes: an open hash table of nothing but them, which takes half the time and memory that a map
// does. The zero value is empty and ready to use.
type hashSet struct {
	slots []uint64 // 0 is free
	used  int

	fetched uint64 // says nothing; without it the compiler would leave fetch out
}

// fetch reads the places of hashes that are about to be added: the processor waits for all of them together.
func (s *hashSet) fetch(hashes []uint64) {
	if len(s.slots) == 0 {
		return
	}
	for _, h := range hashes {
		s.fetched |= s.slots[int(h)&(len(s.slots)-1)]
	}
}

// add reports false when h is in the set already.
func (s *hashSet) add(h uint64) bool {
	if 4*(s.used+1) > 3*len(s.slots) {
		s.grow()
	}
	if h == 0 {
		h = 1 // 0 is a free slot; a hash is as good for being 1
	}
	at := s.place(h)
	if s.slots[at] == h {
		return false
	}
	s.slots[at] = h
	s.used++
	return true
}

// has reports whether h is in the set.
func (s *hashSet) has(h uint64) bool {
	return len(s.slots) > 0 && s.slots[s.place(max(h, 1))] != 0
}

// place is where h is, or the free slot where it would be.
func (s *hashSet) place(h uint64) int {
	mask := len(s.slots) - 1
	at := int(h) & mask
	for s.slots[at] != 0 && s.slots[at] != h {
		at = (at + 1) & mask
	}
	return at
}

func (s *hashSet) grow() {
	old := s.slots
	s.slots = make([]uint64, max(16, 2*len(old)))
	for _, h := range old {
		if h != 0 {
			s.slots[s.place(h)] = h
		}
	}
}
