package sqlcore

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// Dialect turns the SQL of this package, written once for both databases, into what one of them
// understands:
//
//	ota_plans      a table, with its prefix and schema
//	$1             a parameter
//	{now}          the database's time in Unix nanoseconds
//	{texts $1}     the set of the strings of one parameter
//	{list $1}      the rows of want: each has one of the strings of a parameter as its value
//	{numbers $1}   the same with the numbers of a parameter
//	{find a $1}    a text contains another one, which has no capitals; ASCII letters in any case
//	{one t a: c}   joins the row of table t for which c holds, as a, and finds it by an index
//	{keep}         what keeps a selected plan from being deleted until the end of the transaction
type Dialect struct {
	Table   string // what "ota_" becomes in a query
	Prefix  string // what "ota_" becomes in a migration
	Now     string
	Texts   string // the set, with %s for the parameter
	List    string // the rows of strings, with %s for the parameter
	Numbers string // the rows of numbers, with %s for the parameter
	Find    string // whether a text contains another, with %s for both
	One     string // the join, with %s for the table, its name, and the condition
	Keep    string
	Marks   string // what $ becomes

	known sync.Map // from a query to its text
}

var (
	setToken  = regexp.MustCompile(`\{(texts|list|numbers) (\$\d+)\}`)
	findToken = regexp.MustCompile(`\{find (\S+) (\$\d+)\}`)
	oneToken  = regexp.MustCompile(`\{one (\w+) (\w+): ([^{}]*)\}`)
)

// Text returns a query in the words of the database.
func (d *Dialect) Text(query string) string {
	if t, ok := d.known.Load(query); ok {
		return t.(string)
	}
	t := strings.ReplaceAll(query, "{now}", d.Now)
	t = strings.ReplaceAll(t, "{keep}", d.Keep)
	t = setToken.ReplaceAllStringFunc(t, func(m string) string {
		parts := setToken.FindStringSubmatch(m)
		return fmt.Sprintf(map[string]string{"texts": d.Texts, "list": d.List, "numbers": d.Numbers}[parts[1]], parts[2])
	})
	t = findToken.ReplaceAllStringFunc(t, func(m string) string {
		parts := findToken.FindStringSubmatch(m)
		return fmt.Sprintf(d.Find, parts[1], parts[2])
	})
	t = oneToken.ReplaceAllStringFunc(t, func(m string) string {
		parts := oneToken.FindStringSubmatch(m)
		return fmt.Sprintf(d.One, parts[1], parts[2], parts[3])
	})
	t = strings.ReplaceAll(t, "$", d.Marks)
	t = strings.ReplaceAll(t, "ota_", d.Table) // last: a schema's name stays as it is
	d.known.Store(query, t)
	return t
}

// Migration returns the text of a migration, whose names must not carry a schema.
func (d *Dialect) Migration(text string) string { return strings.ReplaceAll(text, "ota_", d.Prefix) }
