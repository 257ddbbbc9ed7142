package queue

// MinSet is a set of items that finds its lowest one. It is made for items that are mostly added in
// ascending order.
type MinSet struct {
	in    map[int]struct{}
	order FIFO // ascending; it has every member, and some items that were removed
}

// Add adds an item.
func (s *MinSet) Add(item int) {
	if s.in == nil {
		s.in = map[int]struct{}{}
	}
	s.in[item] = struct{}{}
	s.order.insert(item)
}

// Has reports whether an item is in the set.
func (s *MinSet) Has(item int) bool { _, ok := s.in[item]; return ok }

// Len returns the number of items.
func (s *MinSet) Len() int { return len(s.in) }

// Remove removes an item, if it is there.
func (s *MinSet) Remove(item int) { delete(s.in, item) }

// Lowest returns the lowest item, or most if that is lower or the set is empty.
func (s *MinSet) Lowest(most int) int {
	for s.order.Len() > 0 {
		o := s.order.Front()
		if s.Has(o) {
			return min(o, most)
		}
		s.order.Pop()
	}
	return most
}
