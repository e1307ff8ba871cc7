package api

// CheckScoping is what CheckMethods asks of each RPC.
var CheckScoping = checkScoping

// AnswerList is what AuthorizeUnary does with a list.
var AnswerList = answerList
