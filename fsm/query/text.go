package query

import "strings"

// Match reports whether text has the parts in order, with anything between them: the
// first at its beginning and the last at its end.
func Match(parts []string, text string) bool {
	if len(parts) == 1 {
		return text == parts[0]
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

// MaxWords bounds the words of a free text; further ones are an error.
const MaxWords = 64

// Phrase is words that have to follow each other. ASCII letters are compared without
// their case; a word with wildcards matches as Match does.
type Phrase struct{ words [][]string }

// ParseText reads a free text: words, of which every one has to be found, and phrases
// in double quotes. The single character * and blanks alone give no phrases. The error
// is an *Error.
func ParseText(text string) ([]Phrase, error) {
	if len(text) > MaxLength {
		return nil, &Error{At: MaxLength, Found: text[MaxLength:], Want: "a shorter text"}
	}
	var out []Phrase
	words := 0
	for at := 0; at < len(text); {
		if blank(text[at]) {
			at++
			continue
		}
		start, end := at, at
		if text[at] == '"' {
			length := strings.IndexByte(text[at+1:], '"')
			if length < 0 {
				return nil, &Error{At: at, Found: text[at:], Want: "a quote at the end of the phrase"}
			}
			start, end = at+1, at+1+length
			at = end + 1
		} else {
			for end < len(text) && !blank(text[end]) && text[end] != '"' {
				end++
			}
			at = end
		}
		p := phraseOf(text[start:end])
		if words += len(p.words); words > MaxWords {
			return nil, &Error{At: start, Found: text[start:end], Want: "at most 64 words"}
		}
		if len(p.words) > 0 {
			out = append(out, p)
		}
	}
	return out, nil
}

// PhraseOf reads a text as one phrase, its stars being wildcards within words.
func PhraseOf(text string) Phrase { return phraseOf(text) }

func phraseOf(text string) Phrase {
	var p Phrase
	for text != "" {
		var word string
		word, text = nextWord(text, true)
		if strings.Trim(word, "*") != "" {
			p.words = append(p.words, strings.Split(fold(word), "*"))
		}
	}
	return p
}

// Empty reports whether the phrase has no words; it is then in no text.
func (p Phrase) Empty() bool { return len(p.words) == 0 }

// In reports whether text has the phrase.
func (p Phrase) In(text string) bool {
	for text != "" && len(p.words) > 0 {
		var word string
		word, text = nextWord(text, false)
		if word != "" && Match(p.words[0], fold(word)) && p.follows(text) {
			return true
		}
	}
	return false
}

func (p Phrase) follows(rest string) bool {
	for _, want := range p.words[1:] {
		word := ""
		for word == "" && rest != "" {
			word, rest = nextWord(rest, false)
		}
		if word == "" || !Match(want, fold(word)) {
			return false
		}
	}
	return true
}

// nextWord cuts the first run of letters, digits and what is not ASCII off a text. It
// is empty when only other characters were left.
func nextWord(text string, wild bool) (word, rest string) {
	start := 0
	for start < len(text) && !letter(text[start], wild) {
		start++
	}
	end := start
	for end < len(text) && letter(text[end], wild) {
		end++
	}
	return text[start:end], text[end:]
}

func letter(c byte, wild bool) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80 || c == '_' || wild && c == '*'
}
