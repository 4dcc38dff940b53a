import Checkpoint
import ComputeCPU
import Diagnostics
import Foundation
import JSON
import Recall
import TestSupport
import Testing

@Suite("Evaluation") struct EvaluationTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("token scores equal those of transformers", arguments: Fixtures.families, [nil, 1] as [Int?])
  func tokenScores(family: String, stateBudget: Int?) throws {
    let model = try Model(directory: Fixtures.checkpoint(family))
    let golden = try lines(of: "\(Fixtures.root)/evaluation/\(family).jsonl")
    let sequences = golden.map { line in
      ScoredSequence(tokens: line["input_ids"]?.array?.compactMap { $0.integer.map(Int32.init) } ?? [], scoredFrom: 1)
    }
    let scoring = TokenScoring(
      model, stateBudget: stateBudget ?? HierarchicalMerge.defaultStateBudget, on: try CPUBackend())
    for ((line, sequence), scores) in zip(zip(golden, sequences), try scoring.scores(of: sequences)) {
      let logProbabilities = try #require(line["logProbabilities"]?.array).compactMap(\.double)
      let logits = try #require(line["logits"]?.array).compactMap(\.double)
      let best = try #require(line["best"]?.array).compactMap(\.integer)
      try #require(scores.count == logits.count)
      for (place, score) in scores.enumerated() {
        #expect((Double(score.logit) - logits[place]).magnitude < 1e-3)
        #expect((score.logProbability - logProbabilities[place]).magnitude < 1e-3)
        #expect(score.isBest == (best[place] == Int(sequence.tokens[place + 1])))
      }
    }
  }

  @Test("exact match, choices and perplexity follow from the token scores")
  func metrics() throws {
    let path = Fixtures.sibling("first")
    let model = try Model(directory: path)
    let tokenizer = try #require(model.tokenizer)
    let scoring = TokenScoring(model, on: try CPUBackend())
    func score(_ prompt: String, _ answer: String) throws -> [TokenScore] {
      let start = try tokenizer.encode(prompt)
      let end = try tokenizer.encode(answer, addSpecialTokens: false)
      return try scoring.scores(of: [ScoredSequence(tokens: start + end, scoredFrom: start.count)])[0]
    }
    func perToken(_ answer: String) throws -> Double {
      let scores = try score("the dog", answer)
      return scores.reduce(0) { $0 + $1.logProbability } / Double(scores.count)
    }
    let choices = [" has a king", " is", " river forest bread"]
    let likelihoods = try choices.map(perToken)
    let best = try #require(likelihoods.firstIndex(of: likelihoods.max() ?? 0))
    let tasks = [
      try directory.write(
        choices.indices.map { right in
          #"{"prompt": "the dog", "choices": [" has a king", " is", " river forest bread"], "answer": \#(right)}"#
            + "\n"
        }.joined(), to: "choose.test.jsonl"),
      try directory.write(#"{"prompt": "the dog", "answer": " is"}"# + "\n", to: "write.jsonl"),
      try directory.write("{\"text\": \"the dog is\"}\n\n{\"text\": \"a river\"}\n", to: "read.jsonl"),
    ]
    let report = try Evaluation(models: [path], tasks: tasks, references: []).run(on: CPUBackend())

    #expect(report.tasks.map(\.name) == ["choose", "write", "read"])
    #expect(report.scores[0][0].map(\.amount) == choices.indices.map { $0 == best ? 1 : 0 })
    #expect(report.results[0][0].value == 1.0 / 3)
    #expect(report.results[0][1].value == (try score("the dog", " is").allSatisfy(\.isBest) ? 1 : 0))
    let texts = try ["the dog is", "a river"].map { text in
      try scoring.scores(of: [ScoredSequence(tokens: tokenizer.encode(text), scoredFrom: 1)])[0]
    }
    let scored = texts.flatMap { $0 }
    let perplexity = exp(-scored.reduce(0) { $0 + $1.logProbability } / Double(scored.count))
    #expect((report.results[0][2].value / perplexity - 1).magnitude < 1e-5)
  }

  @Test("averages, forgetting and transfer against the best reference, with intervals around them")
  func summary() throws {
    func items(_ right: Int) -> [ItemScore] {
      (0..<10).map { ItemScore(amount: $0 < right ? 1 : 0, weight: 1) }
    }
    let text = [ItemScore(amount: log(8), weight: 2), ItemScore(amount: log(2), weight: 2)]
    let report = EvaluationReport(
      models: ["a", "b", "merged"],
      tasks: [
        .init(name: "one", metric: .exactMatch), .init(name: "two", metric: .accuracy),
        .init(name: "text", metric: .perplexity),
      ],
      scores: [[items(10), items(2), text], [items(4), items(8), text], [items(6), items(9), text]], references: [0, 1])
    let averages = try #require(report.averages)
    for (average, expected) in zip(averages, [0.6, 0.6, 0.75]) {
      #expect((average.score.value - expected).magnitude < 1e-12)
    }
    // Task one loses 0.4 of 1.0; task two gains 0.1 on 0.8.
    #expect((try #require(averages[2].forgetting).value - 0.2).magnitude < 1e-12)
    #expect((try #require(averages[2].backwardTransfer).value + 0.15).magnitude < 1e-12)
    #expect((report.results[0][2].value - 2).magnitude < 1e-12)
    for estimate in report.results.joined() + averages.map(\.score) {
      #expect(estimate.interval.contains(estimate.value))
    }
    #expect(report.results[0][0].interval == 1...1)
    // Ten items with six right: the binomial's own percentiles are 0.3 and 0.9.
    #expect(report.results[2][0].interval == 0.3...0.9)

    let row = try #require(report.json["results"]?.array)[7]
    #expect(row["model"]?.string == "merged" && row["task"]?.string == "two" && row["items"]?.integer == 10)
    #expect(row["metric"]?.string == "accuracy" && row["value"]?.double == 0.9)
    #expect(row["interval"]?.array?.count == 2)
  }

  @Test(
    "lines that are no questions are named",
    arguments: [
      (#"{"prompt": "a"}"#, "line 1: cannot read the task: expected an \"answer\""),
      (#"{"prompt": "a", "choices": ["b", "c"]}"#, "expected an \"answer\" beside the choices"),
      (#"{"prompt": "a", "choices": ["b", "c"], "answer": "d"}"#, "one of the choices"),
      (#"{"prompt": "a", "choices": ["b", "c"], "answer": 2}"#, "one of the choices"),
      (#"{"prompt": "a", "choices": ["b"], "answer": "b"}"#, "two texts or more"),
      (#"{"choices": ["b", "c"], "answer": "b"}"#, "\"prompt\" to be a text"),
      (#"{"prompt": "a", "answer": 3}"#, "\"answer\" to be a text"),
      (#"{"question": "a"}"#, "got \"question\""),
      ("[1]", "a JSON object"),
      ("{\"text\": \"a\"}\n{\"prompt\": \"a\", \"answer\": \"b\"}", "line 2"),
      ("", "at least one question"),
    ])
  func badLines(text: String, message: String) throws {
    let path = try directory.write(text, to: "task.jsonl")
    let failure = try #require(throws: Failure.self) { try TaskFile(path: path) }
    #expect(failure.category == .badData)
    #expect(failure.description.contains(message), "\(failure)")
  }

  @Test("nothing to score and no room are refused by line")
  func unscorable() throws {
    let long = String(repeating: "the dog ", count: 400)
    for (line, message) in [
      (#"{"prompt": "a", "answer": ""}"#, "an answer of one token"),
      (#"{"text": ""}"#, "two tokens"), ("{\"text\": \"\(long)\"}", "positions"),
    ] {
      let path = try directory.write(line, to: "task.jsonl")
      let evaluation = try Evaluation(models: [Fixtures.sibling("first")], tasks: [path], references: [])
      let failure = try #require(throws: Failure.self) { try evaluation.run(on: CPUBackend()) }
      #expect(failure.category == .badData)
      #expect(failure.description.contains("line 1") && failure.description.contains(message), "\(failure)")
    }
  }

  private func lines(of path: String) throws -> [JSONValue] {
    try String(decoding: readFile(path), as: UTF8.self).split(separator: "\n").map {
      try JSONValue(parsing: Array($0.utf8), from: path)
    }
  }
}
