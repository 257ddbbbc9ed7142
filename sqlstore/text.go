package sqlstore

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// dialect turns the SQL of this package, written once for both databases, into what one of them understands:
//
//	ota_plans      a table, with its prefix and schema
//	$1             a parameter
//	{now}          the database's time in Unix nanoseconds
//	{texts $1}     the set of the strings of one parameter
//	{among $1}     equals one of the numbers of a parameter
//	{keep}         what keeps a selected plan from being deleted until the end of the transaction
type dialect struct {
	table  string // what "ota_" becomes in a query
	prefix string // what "ota_" becomes in a migration
	now    string
	texts  string // the set, with %s for the parameter
	among  string // the comparison, with %s for the parameter
	keep   string
	marks  string // what $ becomes

	known sync.Map // from a query to its text
}

var setToken = regexp.MustCompile(`\{(texts|among) (\$\d)\}`)

func (d *dialect) text(query string) string {
	if t, ok := d.known.Load(query); ok {
		return t.(string)
	}
	t := strings.ReplaceAll(query, "{now}", d.now)
	t = strings.ReplaceAll(t, "{keep}", d.keep)
	t = setToken.ReplaceAllStringFunc(t, func(m string) string {
		parts := setToken.FindStringSubmatch(m)
		return fmt.Sprintf(map[string]string{"texts": d.texts, "among": d.among}[parts[1]], parts[2])
	})
	t = strings.ReplaceAll(t, "$", d.marks)
	t = strings.ReplaceAll(t, "ota_", d.table) // last: what a schema is called is nobody's business
	d.known.Store(query, t)
	return t
}

// migration returns the text of a migration, whose names must not carry a schema.
func (d *dialect) migration(text string) string { return strings.ReplaceAll(text, "ota_", d.prefix) }

func sqliteDialect(o Options) *dialect {
	return &dialect{
		table: o.TablePrefix, prefix: o.TablePrefix, marks: "?",
		now:   `(CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000000)`,
		texts: `(SELECT value FROM json_each(%s))`,
		among: `IN (SELECT value FROM json_each(%s))`,
	}
}

func postgresDialect(o Options) *dialect {
	table := o.TablePrefix
	if o.Schema != "" {
		table = quote(o.Schema) + "." + table
	}
	return &dialect{
		table: table, prefix: o.TablePrefix, marks: "$",
		now:   `(CAST(extract(epoch FROM clock_timestamp()) * 1000000000 AS bigint))`,
		texts: `(SELECT unnest(CAST(%s AS text[])))`,
		among: `= ANY (CAST(%s AS int[]))`,
		keep:  `FOR KEY SHARE`,
	}
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
