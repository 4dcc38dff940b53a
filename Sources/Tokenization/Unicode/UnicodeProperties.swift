/// The scalar properties that tokenizers ask for, as the `tokenizers` package 0.23 knows them.
///
/// A tokenizer has to give the same ids everywhere, so what counts is the Unicode version of the program that trained
/// the model, not the newest one. The package is built from parts of different age: its regular expressions (Oniguruma,
/// and Rust's `regex` for added tokens) know Unicode 16, its number test 17, its tests for punctuation, control characters and accents 8, its normal forms 9.
/// Swift's tables are newer; a scalar that came after a part's version is unassigned to that part.
enum UnicodeProperties {
  /// The newest Unicode version of the package's regular expressions.
  static let patternVersion = 16
  /// The Unicode version of the package's tests for punctuation, control characters and accents.
  static let categoryVersion = 8
  /// The Unicode version of the package's normal forms.
  static let normalizationVersion = 9

  /// The scalars of each general category, as regular expressions see them.
  static let categories: [Unicode.GeneralCategory: ScalarSet] = {
    var ranges: [Unicode.GeneralCategory: [ClosedRange<UInt32>]] = [:]
    var current = Unicode.GeneralCategory.control
    var start: UInt32 = 0
    for value in 0...ScalarSet.highest {
      let category = patternCategory(value)
      if category == current { continue }
      ranges[current, default: []].append(start...(value - 1))
      (current, start) = (category, value)
    }
    ranges[current, default: []].append(start...ScalarSet.highest)
    return ranges.mapValues { ScalarSet($0) }
  }()

  /// The scalars of a category, `Lu`, or of a group of them, `L`; nil for another name.
  static func category(named name: String) -> ScalarSet? {
    let members = categoryNames.filter { $0.key == name || name.count == 1 && $0.key.hasPrefix(name) }
    guard !members.isEmpty else { return nil }
    return union(of: Array(members.values))
  }

  /// White space, `\s`: the separators and six control characters, in every version since 6.3.
  static let whiteSpace = union(of: [.spaceSeparator, .lineSeparator, .paragraphSeparator])
    .union(ScalarSet([0x09...0x0D, 0x85...0x85]))

  /// Decimal digits, `\d`.
  static var decimalDigits: ScalarSet { categories[.decimalNumber] ?? ScalarSet() }

  /// The scalars of words, `[\w]` of Oniguruma: letters, marks, digits, connectors, and symbols made of letters.
  static let word: ScalarSet = {
    let symbols = (categories[.otherSymbol]?.ranges ?? []).flatMap { $0 }.compactMap(Unicode.Scalar.init)
    let letterSymbols = symbols.filter(\.properties.isAlphabetic).map { $0.value...$0.value }
    return union(of: [
      .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark,
      .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .connectorPunctuation,
    ]).union(ScalarSet(letterSymbols))
  }()

  /// The scalars of `\w` where it stands outside a class: Oniguruma's Latin-1 table counts ², ³, ¹, ¼, ½ and ¾ there.
  static let wordOutsideClass = word.union(ScalarSet([0xB2...0xB3, 0xB9...0xB9, 0xBC...0xBE]))

  /// The scalars of words as the package's added tokens see them: two invisible joiners more.
  static var wordWithJoiners: ScalarSet { word.union(ScalarSet("\u{200C}", through: "\u{200D}")) }

  /// What the package's `Digits` splits off: every number, not only decimal digits.
  static let numbers = ScalarSet { scalar in
    switch scalar.properties.generalCategory {
    case .decimalNumber, .letterNumber, .otherNumber: true
    default: false
    }
  }

  /// What the package's `Punctuation` splits off.
  ///
  /// The two additions were punctuation in the package's old table and were given another category since.
  static let punctuation = ScalarSet { scalar in
    if ("!"..."/").contains(scalar) || (":"..."@").contains(scalar) { return true }
    if ("["..."`").contains(scalar) || ("{"..."~").contains(scalar) { return true }
    if scalar == "\u{166D}" || scalar == "\u{111C9}" { return true }
    guard isAssigned(scalar, in: categoryVersion) else { return false }
    switch scalar.properties.generalCategory {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation: return true
    case .initialPunctuation, .finalPunctuation, .otherPunctuation: return true
    default: return false
    }
  }

  /// What BERT's normalizer leaves out of a text: control characters but those that end lines or are tabulators, formats,
  /// private use, and the mark of what could not be decoded.
  static let control = ScalarSet { scalar in
    switch scalar.properties.generalCategory {
    case .control: !["\t", "\n", "\r"].contains(scalar)
    case .format: isAssigned(scalar, in: categoryVersion)
    case .privateUse: true
    default: scalar == "\u{FFFD}"
    }
  }

  /// The accents that BERT's normalizer takes off decomposed text: marks without a width.
  ///
  /// The exceptions have been given another category since the package's table.
  static let accents = ScalarSet { scalar in
    switch scalar.value {
    case 0x1734, 0x171E: true
    case 0x1885, 0x1886, 0xA9BD, 0x111C9: false
    default: scalar.properties.generalCategory == .nonspacingMark && isAssigned(scalar, in: categoryVersion)
    }
  }

  /// The marks of every kind that `StripAccents` takes off, by the package's table for normal forms.
  static let marks = ScalarSet { scalar in
    switch scalar.value {
    case 0x1CF2, 0x1CF3: return true
    case 0x111C9: return false
    default: break
    }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark: return isAssigned(scalar, in: normalizationVersion)
    default: return false
    }
  }

  /// The ideographs that BERT's normalizer puts spaces around: those of Chinese, in the blocks of Unicode 8.
  static let ideographs = ScalarSet([
    0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F, 0x2B920...0x2CEAF,
    0xF900...0xFAFF, 0x2F800...0x2FA1F,
  ])

  private static func union(of wanted: [Unicode.GeneralCategory]) -> ScalarSet {
    ScalarSet(wanted.flatMap { categories[$0]?.ranges ?? [] })
  }

  /// Whether a scalar was assigned in a Unicode version or before.
  static func isAssigned(_ scalar: Unicode.Scalar, in version: Int) -> Bool {
    guard let age = scalar.properties.age else { return false }
    return age.major < version || age.major == version && age.minor == 0
  }

  /// The category in Unicode 16; surrogates, which text cannot hold, have their own.
  private static func patternCategory(_ value: UInt32) -> Unicode.GeneralCategory {
    guard let scalar = Unicode.Scalar(value) else { return .surrogate }
    // Unicode 17 made this letter, which has no capital, a lower-case one.
    if value == 0x295 { return .otherLetter }
    let category = scalar.properties.generalCategory
    // Private use and noncharacters have an age too; everything below this value is older than version 16.
    guard value > 0x7F, category != .privateUse else { return category }
    return isAssigned(scalar, in: patternVersion) ? category : .unassigned
  }

  private static let categoryNames: [String: Unicode.GeneralCategory] = [
    "Lu": .uppercaseLetter, "Ll": .lowercaseLetter, "Lt": .titlecaseLetter, "Lm": .modifierLetter, "Lo": .otherLetter,
    "Mn": .nonspacingMark, "Mc": .spacingMark, "Me": .enclosingMark,
    "Nd": .decimalNumber, "Nl": .letterNumber, "No": .otherNumber,
    "Pc": .connectorPunctuation, "Pd": .dashPunctuation, "Ps": .openPunctuation, "Pe": .closePunctuation,
    "Pi": .initialPunctuation, "Pf": .finalPunctuation, "Po": .otherPunctuation,
    "Sm": .mathSymbol, "Sc": .currencySymbol, "Sk": .modifierSymbol, "So": .otherSymbol,
    "Zs": .spaceSeparator, "Zl": .lineSeparator, "Zp": .paragraphSeparator,
    "Cc": .control, "Cf": .format, "Cs": .surrogate, "Co": .privateUse, "Cn": .unassigned,
  ]
}
