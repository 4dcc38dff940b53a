/// Runs a pattern's instructions on one stretch of text, going back to the last choice when a step fails.
///
/// It gives up, finding nothing, when it has used up its steps; they are below zero then.
struct PatternMatcher {
  let instructions: [PatternInstruction]
  let table: ScalarTable
  let text: [UInt8]
  let bounds: Range<Int>
  /// How many instructions may still be run and scalars of repetitions taken.
  private(set) var stepsLeft: Int

  /// A way not tried yet: an instruction, and the positions to try it at, the highest first.
  private struct Choice {
    var instruction: Int
    var position: Int
    var lowest: Int
  }
  private var choices: [Choice] = []

  /// Prepares for one stretch of a text.
  init(
    instructions: [PatternInstruction], table: ScalarTable, text: [UInt8], bounds: Range<Int>, stepsLeft: Int
  ) {
    self.instructions = instructions
    self.table = table
    self.text = text
    self.bounds = bounds
    self.stepsLeft = stepsLeft
  }

  /// The first match that begins at a position or behind it.
  mutating func firstMatch(from start: Int) -> Range<Int>? {
    var start = start
    // What failed behind one start fails behind the next.
    var tried = TriedChoices()
    while true {
      if let end = run(from: 0, at: start, &tried) { return start..<end }
      guard start < bounds.upperBound, stepsLeft >= 0 else { return nil }
      start += UTF8Text.length(startingWith: text[start])
    }
  }

  /// Where the instructions reach `accept`, nil when no choice leads there.
  private mutating func run(from first: Int, at start: Int, _ tried: inout TriedChoices) -> Int? {
    let oldest = choices.count
    defer { choices.removeSubrange(oldest...) }
    var instruction = first
    var position = start
    while true {
      stepsLeft -= 1
      guard stepsLeft >= 0 else { return nil }
      let succeeds: Bool
      switch instructions[instruction] {
      case .scalar(let set):
        succeeds = take(set, at: &position)
        instruction += 1
      case .run(let set, let minimum, let maximum, let givesBack):
        succeeds = takeRun(set, minimum, maximum, givesBack ? instruction + 1 : nil, at: &position)
        instruction += 1
      case .fork(let next, let other):
        choices.append(Choice(instruction: other, position: position, lowest: position))
        instruction = next
        succeeds = true
      case .jump(let target):
        instruction = target
        succeeds = true
      case .lookahead(let isNegative, let next):
        succeeds = (runNested(from: instruction + 1, at: position) == nil) == isNegative
        instruction = next
      case .atomic(let next):
        let end = runNested(from: instruction + 1, at: position)
        position = end ?? position
        instruction = next
        succeeds = end != nil
      case .position(let place):
        succeeds = holds(place, at: position)
        instruction += 1
      case .accept: return position
      }
      if succeeds { continue }
      repeat {
        guard choices.count > oldest else { return nil }
        (instruction, position) = nextChoice()
      } while !tried.isNew(instruction, position)
    }
  }

  /// Runs the instructions of a look-ahead or an atomic group, which may succeed and be run again.
  private mutating func runNested(from first: Int, at start: Int) -> Int? {
    var tried = TriedChoices()
    return run(from: first, at: start, &tried)
  }

  private mutating func nextChoice() -> (instruction: Int, position: Int) {
    stepsLeft -= 1
    let last = choices.count - 1
    let choice = choices[last]
    if choice.position == choice.lowest {
      choices.removeLast()
    } else {
      choices[last].position = UTF8Text.start(in: text, before: choice.position)
    }
    return (choice.instruction, choice.position)
  }

  @inline(__always)
  private func take(_ set: Int, at position: inout Int) -> Bool {
    guard position < bounds.upperBound else { return false }
    let (scalar, length) = UTF8Text.scalar(in: text, at: position)
    guard table.contains(scalar, inSet: set) else { return false }
    position += length
    return true
  }

  /// Takes a run, and notes where it may end instead when a shorter one will do for the instruction `next`.
  @inline(__always)
  private mutating func takeRun(
    _ set: Int, _ minimum: Int, _ maximum: Int, _ next: Int?, at position: inout Int
  ) -> Bool {
    var count = 0
    var lowest = position
    while count < maximum, take(set, at: &position) {
      count += 1
      if count == minimum { lowest = position }
    }
    stepsLeft -= count
    guard count >= minimum else { return false }
    if let next, lowest < position {
      let highest = UTF8Text.start(in: text, before: position)
      choices.append(Choice(instruction: next, position: highest, lowest: lowest))
    }
    return true
  }

  private func holds(_ place: PatternPosition, at position: Int) -> Bool {
    let lineFeed = UInt8(ascii: "\n")
    return switch place {
    case .textStart: position == bounds.lowerBound
    case .textEnd: position == bounds.upperBound
    case .lineStart:
      position == bounds.lowerBound || position < bounds.upperBound && text[position - 1] == lineFeed
    case .lineEnd: position == bounds.upperBound || text[position] == lineFeed
    }
  }
}

/// The choices that were taken up, and have led nowhere, since the last match.
///
/// What follows from an instruction at a position does not depend on the way there, so a second try must fail like the
/// first. Leaving it out keeps nested repetitions from taking exponential time. Most runs are over before this pays.
private struct TriedChoices {
  private var count = 0
  private var tried: Set<UInt64> = []

  private static let freeTries = 1000

  /// Whether the choice has to be tried.
  @inline(__always)
  mutating func isNew(_ instruction: Int, _ position: Int) -> Bool {
    count += 1
    return count <= Self.freeTries || tried.insert(UInt64(position) << 16 | UInt64(instruction)).inserted
  }
}
