package session

import "errors"

// EachPage calls fetch for page after page until there is no next one.
func EachPage(fetch func(token string) (next string, err error)) error {
	token := ""
	for {
		next, err := fetch(token)
		if err != nil || next == "" {
			return err
		}
		if next == token {
			return errors.New("the control plane sends the same page over and over")
		}
		token = next
	}
}
