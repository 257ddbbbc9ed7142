// Package sqlcore is the part of a Store that both databases share: the Store itself, its queries,
// and the rows of its tables. A [Database] is the other part. Packages sqlite and postgres have one
// each.
package sqlcore
