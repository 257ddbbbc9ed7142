package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// source is the file that a DSN names, and the parameters to open it with.
type source struct {
	path   string // absolute
	params url.Values
}

var (
	// A scheme has two letters at least: c:\fleet.db is a file.
	scheme = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]+):`)
	// PostgreSQL's other form of a DSN, such as "host=db dbname=fleet". It may have a password.
	keywords = regexp.MustCompile(`(^|\s)(host|hostaddr|port|dbname|user|password|passfile|service|sslmode)\s*=`)
	// One pragma with one plain value: no second statement.
	onePragma = regexp.MustCompile(`^([A-Za-z_]+)\s*(?:\(\s*[-+\w.]*\s*\)|=\s*[-+\w.]+)$`)
)

// Parameters and pragmas that keep what was committed, and keep processes apart. Every other one is
// refused: nolock, immutable, vfs and shared caches lose plans, and a misspelled one is ignored by
// SQLite.
var (
	modes   = []string{"ro", "rw", "rwc"}
	pragmas = []string{
		"auto_vacuum", "cache_size", "cache_spill", "cell_size_check", "checkpoint_fullfsync", "foreign_keys", "fullfsync",
		"hard_heap_limit", "journal_size_limit", "max_page_count", "mmap_size", "page_size", "secure_delete",
		"soft_heap_limit", "temp_store", "threads", "trusted_schema", "wal_autocheckpoint",
	}
)

// parseDSN returns the file of a DSN. Open describes the forms.
func parseDSN(dsn string) (source, error) {
	name, query, err := splitDSN(dsn)
	if err != nil {
		return source{}, err
	}
	params, err := parseParams(query)
	if err == nil {
		err = checkName(name)
	}
	if err != nil {
		return source{}, fmt.Errorf("sqlstore: open %q: %w", name, err)
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return source{}, fmt.Errorf("sqlstore: open %q: %w", name, err)
	}
	return source{path: path, params: params}, nil
}

// splitDSN takes the scheme and the parameters off the name. Its errors show no more of a DSN that
// may have a password than its scheme.
func splitDSN(dsn string) (name, query string, err error) {
	m := scheme.FindStringSubmatch(dsn)
	if m == nil {
		switch {
		case keywords.MatchString(dsn):
			return "", "", errors.New("sqlstore: open: the DSN has PostgreSQL's keywords: write postgres://user@host/database")
		case strings.Contains(dsn, "?"):
			return "", "", fmt.Errorf("sqlstore: open %q: parameters need the scheme sqlite:, as in sqlite:fleet.db?mode=ro", dsn)
		}
		return dsn, "", nil
	}
	name, query, _ = strings.Cut(dsn[len(m[0]):], "?")
	switch strings.ToLower(m[1]) {
	case "sqlite":
		name, err = withoutHost(name)
	case "file":
		if strings.Contains(name+query, "#") {
			return "", "", fmt.Errorf("sqlstore: open %q: a # in a file: URI is written %%23", dsn)
		}
		if name, err = withoutHost(name); err == nil {
			name, err = url.PathUnescape(name)
		}
	default:
		return "", "", fmt.Errorf("sqlstore: open: no database here has the scheme %q: want sqlite:, file:, postgres:// or "+
			"postgresql://, or ./%s:… for a file of that name", m[1], m[1])
	}
	if err != nil {
		err = fmt.Errorf("sqlstore: open %q: %w", dsn, err)
	}
	return name, query, err
}

// withoutHost returns the path after //, which has no host, or localhost.
func withoutHost(name string) (string, error) {
	rest, has := strings.CutPrefix(name, "//")
	if !has {
		return name, nil
	}
	host, path, _ := strings.Cut(rest, "/")
	if host != "" && host != "localhost" {
		return "", fmt.Errorf("%q stands where a host stands: write one slash, or three", host)
	}
	return "/" + path, nil
}

func checkName(name string) error {
	switch {
	case name == "" || strings.Contains(name, ":memory:"):
		return errors.New("want the name of a file; memstore.New keeps plans in memory")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("the name has a control character")
	case strings.TrimSpace(name) != name:
		return errors.New("the name begins or ends with a blank")
	case os.IsPathSeparator(name[len(name)-1]):
		return errors.New("the name is that of a folder, want a file")
	}
	return nil
}

func parseParams(query string) (url.Values, error) {
	params, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("parameters: %w", err)
	}
	for name, values := range params {
		for _, v := range values {
			if err := checkParam(name, v); err != nil {
				return nil, err
			}
		}
	}
	return params, nil
}

func checkParam(name, value string) error {
	switch name {
	case "mode":
		if !slices.Contains(modes, value) {
			return fmt.Errorf("parameter mode=%s is not allowed: want one of %v", value, modes)
		}
	case "cache":
		if value != "private" {
			return fmt.Errorf("parameter cache=%s is not allowed: want private", value)
		}
	case "_pragma":
		m := onePragma.FindStringSubmatch(value)
		if m == nil || !slices.Contains(pragmas, strings.ToLower(m[1])) {
			return fmt.Errorf("parameter _pragma=%s is not allowed: want name(value) with one of %v", value, pragmas)
		}
	default:
		return fmt.Errorf("parameter %s is not allowed: want mode, cache or _pragma", name)
	}
	return nil
}

// uri returns the DSN for the driver, with the settings that this package relies on. They come
// last, so that they win.
func (s source) uri(more ...string) string {
	query := "_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-16000)"
	if len(s.params) > 0 {
		query += "&" + s.params.Encode()
	}
	query += "&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&" + strings.Join(more, "&")
	return "file:" + (&url.URL{Path: s.path}).EscapedPath() + "?" + query
}

// creates reports whether opening makes the file if it is missing.
func (s source) creates() bool {
	return !slices.Contains(s.params["mode"], "ro") && !slices.Contains(s.params["mode"], "rw")
}

// creating serializes the making of files. A process that closes a file ends every lock it has on
// it, also those of SQLite. So no other Open of this process may use a new file before it is closed
// here.
var creating sync.Mutex

// create makes the file if it is missing, for its owner only. SQLite makes its other files with the
// same permissions.
func (s source) create() error {
	if s.creates() {
		creating.Lock()
		defer creating.Unlock()
		f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return f.Close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	info, err := os.Stat(s.path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	return err
}
