// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/**
 * Settles many EIP-3009 authorizations in one transaction.
 *
 * It has no storage, no owner, no way to change and no way to be paid: all it can do is
 * hand to a token what payers signed, and the token moves the money from the payer to the
 * payee that the payer signed. Anybody may call it; nobody gains by it. Whatever is sent
 * to it is lost.
 *
 * One bad item cannot spoil the others. What an item may spend is capped; of what it
 * throws 32 bytes are looked at, however large it is; and an item is tried only with its
 * whole cap at hand, so that none fails because others were greedy. What is said here of
 * an item is a hint: the token's own AuthorizationUsed and Transfer logs decide.
 *
 * All of it runs in assembly, because each of 200 items pays for each instruction. The
 * memory used is the scratch space (0x00 to 0x3f) and one call's worth of bytes at the
 * free pointer.
 */
contract Facilitator {
    /// The token is no contract: calls to it would succeed and do nothing.
    error NoCode(address token);
    /// The packed bytes are no whole number of items.
    error WrongSize(uint256 size);
    /// More items than the bitmap of the failed has room for.
    error TooMany(uint256 count);
    /// There is too little gas to ask the token about the payer of this index.
    error OutOfGas(uint256 index);

    /**
     * The token refused an item. `reason` is the first 32 bytes of its message, or of
     * what it threw when that was no message; zero when it threw nothing, as when it ran
     * out of gas.
     */
    event Failed(address indexed payer, bytes32 indexed nonce, bytes32 reason);

    /// from20 | value8 | validAfter5 | validBefore5 | nonce32 | r32 | vs32 (EIP-2098)
    uint256 private constant ITEM_SIZE = 134;
    uint256 private constant ITEMS_MAX = 256;

    /**
     * What an item may spend. USDC behind its proxy spends 79,000 at most on a payer
     * without code (all storage cold, a payee without balance). A payer with code, which
     * the token asks whether it signed, has what is left.
     */
    uint256 private constant ITEM_GAS = 150_000;

    /**
     * What must be left before an item is tried. A call gives away at most 63/64 of what
     * there is (EIP-150), so ITEM_GAS * 64 / 63 = 152,381 for the call; about 600 until
     * it is made; and, when the item spent all it had, about 2,500 to say so and to
     * return. The rest is for fees of opcodes to come. It is more than an item has: a
     * batch that an item's payer or token begins tries nothing.
     */
    uint256 private constant ITEM_GAS_LEFT = 160_000;

    /// The same for one balance. USDC behind its proxy spends under 10,000.
    uint256 private constant LOOK_GAS = 50_000;
    uint256 private constant LOOK_GAS_LEFT = 60_000;

    /// Selector of transferWithAuthorization(address,address,uint256,uint256,uint256,
    /// bytes32,uint8,bytes32,bytes32), and the size of a call to it.
    uint256 private constant TRANSFER = 0xe3ee160e;
    uint256 private constant TRANSFER_SIZE = 292;
    /// Selector of Error(string), and of balanceOf(address) at the head of a word.
    uint256 private constant ERROR = 0x08c379a0;
    uint256 private constant BALANCE_OF =
        0x70a0823100000000000000000000000000000000000000000000000000000000;
    /// keccak256("Failed(address,bytes32,bytes32)")
    uint256 private constant FAILED =
        0x0bca0dd048d5f4f11b8d27af28c8254d69b1de95c13b964451d99cdad4cb23fb;

    /**
     * Tries items in their order, all for one payee. Returns how many were tried, and
     * those of them that failed: bit i for item i, from the lowest on. Fewer are tried
     * than given when the gas would not last for the next; the others are untouched.
     */
    function settle(address token, address payee, bytes calldata items)
        external
        returns (uint256 done, uint256 failed)
    {
        if (token.code.length == 0) revert NoCode(token);
        if (items.length % ITEM_SIZE != 0) revert WrongSize(items.length);
        if (items.length / ITEM_SIZE > ITEMS_MAX) revert TooMany(items.length / ITEM_SIZE);
        assembly ("memory-safe") {
            // A call to the token: the selector ends the first word, and nine arguments
            // follow, a word each. The selector and the payee are the same for all.
            let transfer := mload(0x40)
            mstore(transfer, TRANSFER)
            mstore(add(transfer, 0x40), payee)

            let end := add(items.offset, items.length)
            for { let item := items.offset } lt(item, end) { item := add(item, ITEM_SIZE) } {
                if lt(gas(), ITEM_GAS_LEFT) { break }

                let payer := shr(96, calldataload(item))
                mstore(add(transfer, 0x20), payer)
                // The value, both times, and bytes of the nonce behind them.
                let numbers := calldataload(add(item, 20))
                mstore(add(transfer, 0x60), shr(192, numbers))
                mstore(add(transfer, 0x80), and(shr(152, numbers), 0xffffffffff))
                mstore(add(transfer, 0xa0), and(shr(112, numbers), 0xffffffffff))
                // Nonce and r lie together here as there.
                let nonce := calldataload(add(item, 38))
                mstore(add(transfer, 0xc0), nonce)
                mstore(add(transfer, 0x100), calldataload(add(item, 70)))
                // EIP-2098: v - 27 is the top bit of s.
                let vs := calldataload(add(item, 102))
                mstore(add(transfer, 0xe0), add(27, shr(255, vs)))
                mstore(add(transfer, 0x120), shr(1, shl(1, vs)))

                // Nothing of what comes back is copied by the call itself.
                if iszero(call(ITEM_GAS, token, 0, add(transfer, 28), TRANSFER_SIZE, 0, 0)) {
                    failed := or(failed, shl(done, 1))
                    let size := returndatasize()
                    mstore(0, 0)
                    switch gt(size, 31)
                    case 0 { returndatacopy(0, 0, size) }
                    default { returndatacopy(0, 0, 32) }
                    // Error(string): selector, offset, length, and the message, which
                    // fills whole words.
                    if and(eq(shr(224, mload(0)), ERROR), gt(size, 99)) {
                        returndatacopy(0, 68, 32)
                    }
                    log3(0, 32, FAILED, payer, nonce)
                }
                done := add(done, 1)
            }
        }
    }

    /**
     * What payers (20 bytes each) have. A word each: the token's balance in the low 128
     * bits, all of them set for more than that; bit 255 when the payer has code (a
     * contract, or delegated by EIP-7702); bit 254, and no balance, when the token did
     * not answer.
     */
    function look(address token, bytes calldata payers)
        external
        view
        returns (uint256[] memory seen)
    {
        if (token.code.length == 0) revert NoCode(token);
        if (payers.length % 20 != 0) revert WrongSize(payers.length);
        seen = new uint256[](payers.length / 20);
        for (uint256 i = 0; i < seen.length; i++) {
            if (gasleft() < LOOK_GAS_LEFT) revert OutOfGas(i);
            uint256 word;
            assembly ("memory-safe") {
                let payer := shr(96, calldataload(add(payers.offset, mul(i, 20))))
                mstore(0, BALANCE_OF)
                mstore(4, payer)
                let answered := staticcall(LOOK_GAS, token, 0, 36, 0, 32)
                switch and(answered, gt(returndatasize(), 31))
                case 0 { word := shl(254, 1) }
                default {
                    word := mload(0)
                    if shr(128, word) { word := shr(128, not(0)) }
                }
                if extcodesize(payer) { word := or(word, shl(255, 1)) }
            }
            seen[i] = word;
        }
    }
}
