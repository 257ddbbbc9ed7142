package expect

// mostEntries bounds what Load takes. A table that New makes has at most 8,400.
const mostEntries = 1 << 14

// Entries returns the numbers of agents at which the tolerance rises, in ascending order. A plan
// stores them, so a later version of this package judges the plan as this one did. The slice
// belongs to the table.
func (t Table) Entries() []int { return t.at }

// Load returns the table with these entries, which it keeps. ok is false if New cannot have made
// them.
func Load(entries []int) (t Table, ok bool) {
	if len(entries) > mostEntries {
		return Table{}, false
	}
	before, tolerance := 0, 0
	for _, n := range entries {
		if n <= before || n > Most {
			return Table{}, false
		}
		before, tolerance = n, following(tolerance)
		t.tolerance = append(t.tolerance, tolerance)
	}
	t.at = entries
	return t, true
}
