package guard

// CheckScoping is what CheckMethods asks of each RPC.
var CheckScoping = checkScoping

// AnswerList is what Unary does with a list.
var AnswerList = answerList
