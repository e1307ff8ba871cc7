package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// parseConnection reads a connection string as psql does: a URI, keywords and values, or the name of a database. Its
// errors quote nothing of the string, which may hold a password.
func parseConnection(text string) (map[string]string, error) {
	if strings.ContainsRune(text, 0) {
		return nil, errors.New("a connection string can't hold a NUL byte")
	}
	if text == "" {
		return nil, nil
	}
	for _, scheme := range []string{"postgresql://", "postgres://"} {
		if rest, ok := strings.CutPrefix(text, scheme); ok {
			return parseURI(rest)
		}
	}
	if looksLikeURL(text) {
		return nil, errForeignURL
	}
	if !strings.Contains(text, "=") {
		return map[string]string{"dbname": text}, nil
	}
	return parseKeywords(text)
}

// errForeignURL reports a URL that psql would take for the name of a database, password and all.
var errForeignURL = errors.New("it looks like a URL and does not begin with postgresql:// or postgres://: write it in small letters, " +
	"without quotes, blanks or the name of a driver around it")

// looksLikeURL reports whether a text that is no URI of libpq's is meant to be one: in quotes, after a blank, with capitals,
// or of a driver's own scheme such as postgresql+psycopg2.
func looksLikeURL(text string) bool {
	before, _, found := strings.Cut(text, "://")
	return found && !strings.Contains(before, "=")
}

// parseURI reads what follows the scheme: [user[:password]@][host][:port][,...][/dbname][?keyword=value[&...]].
// Not net/url, which knows no lists of hosts and no socket folders.
func parseURI(text string) (map[string]string, error) {
	values := map[string]string{}
	// A password may hold a "?", and no "/" or "@".
	if userinfo, rest, ok := strings.Cut(text, "@"); ok && !strings.Contains(userinfo, "/") {
		text = rest
		user, password, _ := strings.Cut(userinfo, ":")
		values["user"], values["password"] = user, password
	}
	text, query, _ := strings.Cut(text, "?")
	authority, database, _ := strings.Cut(text, "/")
	hosts, ports, err := splitHosts(authority)
	if err != nil {
		return nil, err
	}
	values["host"], values["port"], values["dbname"] = hosts, ports, database
	for keyword, value := range values {
		decoded, err := url.PathUnescape(value)
		if err != nil {
			return nil, fmt.Errorf("the %s is not percent-encoded as a URI asks for", keyword)
		}
		values[keyword] = decoded
		// An empty part of a URI counts as not given.
		if strings.Trim(decoded, ",") == "" {
			delete(values, keyword)
		}
	}
	return values, parseQuery(query, values)
}

func parseQuery(query string, values map[string]string) error {
	if query == "" {
		return nil
	}
	for pair := range strings.SplitSeq(query, "&") {
		keyword, value, found := strings.Cut(pair, "=")
		keyword, errKeyword := url.PathUnescape(keyword)
		value, errValue := url.PathUnescape(value)
		if err := errors.Join(errKeyword, errValue); err != nil || !found {
			return errors.New("a parameter of the URI is not of the form keyword=value, percent-encoded")
		}
		if keyword == "ssl" && value == "true" {
			keyword, value = "sslmode", "require"
		}
		if err := known(map[string]string{keyword: ""}); err != nil {
			return err
		}
		values[keyword] = value
	}
	return nil
}

// splitHosts takes "a:1,[::1]:2" apart into "a,::1" and "1,2", as libpq's keywords have them.
func splitHosts(authority string) (hosts, ports string, err error) {
	var hostList, portList []string
	for part := range strings.SplitSeq(authority, ",") {
		var host, port string
		if inner, ok := strings.CutPrefix(part, "["); ok {
			address, rest, closed := strings.Cut(inner, "]")
			if !closed || (rest != "" && rest[0] != ':') {
				return "", "", errors.New("the IPv6 address of the URI has no matching \"]\"")
			}
			host, port = address, strings.TrimPrefix(rest, ":")
		} else {
			host, port, _ = strings.Cut(part, ":")
		}
		hostList, portList = append(hostList, host), append(portList, port)
	}
	return strings.Join(hostList, ","), strings.Join(portList, ","), nil
}

// parseKeywords reads keyword = value pairs, where a value may stand in single quotes and a backslash takes the next
// character as it is.
func parseKeywords(text string) (map[string]string, error) {
	const space = " \t\n\r\f\v"
	values := map[string]string{}
	for {
		text = strings.TrimLeft(text, space)
		if text == "" {
			return values, nil
		}
		keyword, rest, found := strings.Cut(text, "=")
		keyword = strings.TrimRight(keyword, space)
		if !found || keyword == "" || strings.ContainsAny(keyword, space) {
			return nil, errors.New("missing \"=\" after a connection parameter")
		}
		if err := known(map[string]string{keyword: ""}); err != nil {
			return nil, err
		}
		value, rest, err := cutValue(strings.TrimLeft(rest, space))
		if err != nil {
			return nil, fmt.Errorf("connection parameter %q: %w", keyword, err)
		}
		values[keyword], text = value, rest
	}
}

// cutValue takes one value off the front of text.
func cutValue(text string) (value, rest string, err error) {
	quoted := strings.HasPrefix(text, "'")
	if quoted {
		text = text[1:]
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			out.WriteByte(text[i])
		case quoted && c == '\'':
			return out.String(), text[i+1:], nil
		case !quoted && strings.IndexByte(" \t\n\r\f\v", c) >= 0:
			return out.String(), text[i:], nil
		default:
			out.WriteByte(c)
		}
	}
	if quoted {
		return "", "", errors.New("the quote is not closed")
	}
	return out.String(), "", nil
}

var conninfoQuoter = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// quoteConninfo makes any text one value of a connection string.
func quoteConninfo(value string) string { return "'" + conninfoQuoter.Replace(value) + "'" }
