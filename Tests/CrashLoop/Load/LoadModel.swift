// SPDX-License-Identifier: Apache-2.0

/// What each task of the load does and leaves: it follows from the numbers that it was spawned with, so that who looks
/// at the store afterwards knows it without having been told.
enum LoadModel {
    /// What a task that has no children does.
    enum Behaviour: Equatable {
        case completes
        /// Fails at once, for good.
        case fails
        /// Completes in this attempt, and fails in those before.
        case retries(attempts: UInt32)
        /// Fails in each of two attempts.
        case deadLetters
        /// Waits a moment, so that a cancel finds it.
        case waits
    }

    /// The attempts of tasks that are never done.
    static let deadLetterAttempts: UInt32 = 2
    static let mostAttempts: UInt32 = 4

    static func behaviour(ofSingle number: UInt64) -> Behaviour {
        switch mix(number) % 100 {
        case 0..<70: .completes
        case 70..<78: .fails
        case 78..<88: .retries(attempts: 2 + UInt32(mix(number &+ 1) % 3))
        case 88..<92: .deadLetters
        default: .waits
        }
    }

    /// Children that spawn siblings complete sooner or later, so that all of those come to be.
    static func behaviour(ofLeaf index: UInt32, in wave: Wave) -> Behaviour {
        let chance = mix(wave.number &* 1_000_003 &+ UInt64(index)) % 64
        if wave.sibling(of: index) != nil { return chance < 4 ? .retries(attempts: 2) : .completes }
        switch chance {
        case 0..<4: return .fails
        case 4..<8: return .retries(attempts: 2)
        default: return .completes
        }
    }

    static func isCancelled(single number: UInt64) -> Bool {
        behaviour(ofSingle: number) == .waits && mix(number &+ 2) % 2 == 0
    }

    static func isCancelled(wave number: UInt64) -> Bool { mix(number &+ 3) % 8 == 0 }

    static func value(ofSingle number: UInt64) -> UInt64 { mix(number &+ 4) }

    static func value(ofLeaf index: UInt32, wave: UInt64) -> UInt64 { mix(wave ^ UInt64(index) << 40) }

    /// The finalizer of SplitMix64.
    static func mix(_ number: UInt64) -> UInt64 {
        var mixed = number &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

extension Wave {
    /// Children of an own number that are orchestrators themselves: the first ones.
    static let branches: UInt32 = 2
    /// Children of each of those.
    static let branchLeaves: UInt32 = 6

    /// A wave of a size that follows from its number: many are small, a few outlive several kills.
    init(number: UInt64) {
        self.number = number
        switch LoadModel.mix(number &+ 5) % 16 {
        case 0: (count, first) = (6000, 40)
        case 1..<4: (count, first) = (800, 100)
        default: (count, first) = (40, 10)
        }
    }

    /// The child that a child spawns beside itself.
    func sibling(of index: UInt32) -> UInt32? {
        guard index % first >= Self.branches else { return nil }
        return index + first < count ? index + first : nil
    }

    /// Whether there is to be such a child.
    func hasLeaf(_ index: UInt32) -> Bool { index < count && index % first >= Self.branches }

    /// What the number of the branch of this index is.
    func branch(_ index: UInt32) -> Branch { Branch(number: LoadModel.mix(number &+ 6) &+ UInt64(index)) }

    /// What `finalize` is to find.
    var total: Wave.Memo {
        var total = Wave.Memo(number: number)
        for index in 0..<count where hasLeaf(index) {
            if LoadModel.behaviour(ofLeaf: index, in: self) == .fails {
                total.failed += 1
            } else {
                total.completed += 1
                total.sum &+= LoadModel.value(ofLeaf: index, wave: number)
            }
        }
        for index in 0..<Self.branches {
            total.branches += 1
            total.sum &+= branch(index).total.sum
        }
        return total
    }
}

extension Branch {
    var total: Branch.Memo {
        var total = Branch.Memo(number: number)
        for index in 0..<Wave.branchLeaves { total.add(index, LoadModel.value(ofLeaf: index, wave: number)) }
        return total
    }
}
