package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// words are what a file may say, exactly so, and where it goes.
func (p *Policy) words() map[string]any {
	return map[string]any{
		"jobs": &p.Jobs, "replace": &p.Replace, "restore_from": &p.RestoreFrom, "unproven": &p.Unproven,
		"superuser_roles": &p.SuperuserRoles, "trust_content": &p.TrustContent, "release_host_holds": &p.ReleaseHostHolds,
	}
}

// Parse reads a policy. What it does not name is as in Default; a name that it does not know is an
// error, lest a word that was mistyped allows what it was to deny. The JSON package alone is more
// lenient: to it JOBS is jobs, the last of two holds, and null leaves what was there, which in a
// list is a job of the default.
func Parse(content []byte) (Policy, error) {
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(content, &whole); err != nil {
		return Policy{}, inWords(err, "it is no object of JSON")
	}
	if whole == nil {
		return Policy{}, errors.New("it is no object of JSON")
	}
	p := Default()
	if err := p.read(content); err != nil {
		return Policy{}, err
	}
	return p, p.check()
}

// read takes an object word by word: a map has lost which were there twice.
func (p *Policy) read(content []byte) error {
	left, words := p.words(), p.words()
	decoder := json.NewDecoder(bytes.NewReader(content))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		word := token.(string) //nolint:forcetypeassert // the name of what is in an object is one
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		into := left[word]
		switch {
		case words[word] == nil && words[strings.ToLower(word)] != nil:
			return fmt.Errorf("unknown field %.64q: it is written %q", word, strings.ToLower(word))
		case words[word] == nil:
			return fmt.Errorf("unknown field %.64q", word)
		case into == nil:
			return fmt.Errorf("%q is there twice", word)
		}
		delete(left, word)
		if err := set(into, value); err != nil {
			return fmt.Errorf("%s: %w", word, err)
		}
	}
	return nil
}

var errNull = errors.New("null is no value") // it would leave the default

func set(into any, value json.RawMessage) error {
	if string(value) == "null" {
		return errNull
	}
	list, is := into.(*[]string)
	if !is {
		return inWords(json.Unmarshal(value, into), "it is true or false")
	}
	var given []*string
	if err := json.Unmarshal(value, &given); err != nil {
		return inWords(err, `it is a list of words, such as ["backup", "verify"]`)
	}
	*list = make([]string, 0, len(given))
	for _, word := range given {
		if word == nil {
			return errNull
		}
		*list = append(*list, *word)
	}
	return nil
}

// inWords reports what should be there, where something else does: the JSON package mentions types
// of Go.
func inWords(err error, want string) error {
	var other *json.UnmarshalTypeError
	if errors.As(err, &other) {
		return fmt.Errorf("%s, and not a JSON %s", want, other.Value)
	}
	return err
}
